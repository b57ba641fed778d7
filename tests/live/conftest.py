"""At the end of a run that had a corpus in it (leaks, causes of collections, workloads): how many of its questions were answered right."""


def pytest_terminal_summary(terminalreporter):
    for name in ("seeded leak", "healthy service", "cause of a collection"):
        answers = [value for reports in terminalreporter.stats.values() for report in reports
                   if getattr(report, "when", "") == "call" for key, value in report.user_properties if key == name]
        if answers:
            right = sum(answer.endswith(": right") for answer in answers)
            terminalreporter.write_line(f"{name}s: {right} of {len(answers)} right")
            for answer in sorted(answers):
                if not answer.endswith(": right"):
                    terminalreporter.write_line("  " + answer)
    explained = sorted((value for reports in terminalreporter.stats.values() for report in reports
                        if getattr(report, "when", "") == "call" for key, value in report.user_properties if key == "explained"),
                       key=lambda one: one["ratio"])
    if explained:
        terminalreporter.write_line(f"workloads: {100 * explained[0]['ratio']:.2f} % of RSS at least are explained")
        for one in explained if terminalreporter.verbosity > 0 else ():
            terminalreporter.write_line(f"  {one['workload']} on {one['python']}: {100 * one['ratio']:.2f} % of {one['rss'] / 2 ** 20:.1f} MiB")
