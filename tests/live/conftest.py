"""At the end of a run that had a corpus in it (leaks, causes of collections): how many of its questions were answered right."""


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
