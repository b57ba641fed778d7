"""The example shop: it serves without a fault, and doctor names the right expression for each fault."""
import json
import subprocess
import sys
import urllib.request
from contextlib import contextmanager

import pytest

from harness import REPOSITORY, end_session, interpreters, reset_signals
from harness.target import clean_environment

SHOP = REPOSITORY / "examples" / "shop"
sys.path.insert(0, str(SHOP))
from shop import load  # noqa: E402
from shop.faults import FAULTS  # noqa: E402

# What doctor must say beside, or instead of, the expression: the stable name of a finding.
FINDINGS = {
    "gc-off": "collector-disabled",
    "gc-threshold": "thresholds-too-high",
    "gc-freeze": "everything-frozen",
}
# A finding takes a tenth of the heap: how many visitors leave that much behind.
VISITS = {"cart-registry": 2500, "order-history": 3500, "log-handlers": 1000, "sessions": 1500, "open-reports": 3000,
          "seen-ids": 2500, "listeners": 1500}


@contextmanager
def shop(interpreter, *names):
    """A running shop as (pid, url)."""
    arguments = [argument for name in names for argument in ("--fault", name)]
    # With -c instead of -m no working directory is needed, which a private mount namespace may not have.
    code = f"import sys; sys.path.insert(0, {str(SHOP)!r}); sys.argv[0] = 'shop'; import runpy; runpy.run_module('shop', run_name='__main__', alter_sys=True)"
    command = interpreter.argv("-B", "-c", code, "--port", "0", *arguments, binds=(str(SHOP),))
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                               env=clean_environment(), start_new_session=True, preexec_fn=reset_signals)
    try:
        url = process.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:"), "the shop did not start"
        yield process.pid, url
    finally:
        end_session(process.pid)
        process.wait(30)
        process.stdout.close()


def ask(url, method="GET"):
    with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=30) as answer:
        return answer.read().decode()


def visit(url, visits, threads=2):
    requests, failures, _ = load.run(url, visits=visits, threads=threads)
    assert failures == 0
    assert requests == visits * 9
    return requests


def test_serves_without_a_fault(interpreter):
    with shop(interpreter) as (_, url):
        requests = visit(url, 300)
        status = json.loads(ask(url + "admin/status"))
    assert status["served"] == requests + 1
    assert status["errors"] == {"NotFound": 300}
    assert status["sessions"] <= 200
    assert status["quotes"] <= 60 * 4 * 3
    assert status["faults"] == []


def test_switches_faults_on(interpreter):
    with shop(interpreter) as (_, url):
        assert set(json.loads(ask(url + "admin/faults"))) == set(FAULTS)
        for name in FAULTS:
            ask(url + "admin/faults/" + name, "POST")
        visit(url, 30)
        status = json.loads(ask(url + "admin/status"))
        with pytest.raises(urllib.error.HTTPError):
            ask(url + "admin/faults/no-such-fault", "POST")
    assert status["faults"] == sorted(FAULTS)
    assert status["quotes"] == 0  # the method cache takes their place
    assert status["threads"] >= 20


def some_interpreters():
    """The oldest, one in the middle and the newest: all faults on all versions would take too long."""
    all_of_them = interpreters()
    picked = {all_of_them[0], all_of_them[len(all_of_them) // 2], all_of_them[-1]} if all_of_them else set()
    return sorted(picked, key=lambda interpreter: interpreter.version)


@pytest.mark.parametrize("one", some_interpreters(), ids=lambda interpreter: interpreter.id)
@pytest.mark.parametrize("name", [name for name, fault in FAULTS.items() if fault.expression])
def test_doctor_names_the_container(lowtide, one, name):
    with shop(one, name) as (pid, url):
        visit(url, VISITS.get(name, 600))
        result = lowtide("doctor", "--json", pid)
        assert json.loads(ask(url + "admin/status"))["faults"] == [name]
    assert result.code in (0, 1), result
    report = result.json["result"]
    said = [finding["expression"] for finding in report["findings"]]
    assert any(is_said(FAULTS[name].expression, expression) for expression in said), (FAULTS[name].expression, said)


def is_said(expected, expression):
    """The container itself or something right below or around it: `X.__dict__['_by_id']` is as good as `X._by_id`."""
    plain = expression.replace("['", ".").replace("']", "").replace(".__dict__", "").replace("sys.modules.", "")
    wanted = expected.replace("['", ".").replace("']", "").replace("sys.modules.", "")
    return plain == wanted or plain.startswith(wanted + "[") or plain.startswith(wanted + ".")


@pytest.mark.parametrize("one", some_interpreters(), ids=lambda interpreter: interpreter.id)
@pytest.mark.parametrize("name", sorted(FINDINGS))
def test_doctor_sees_the_collector(lowtide, one, name):
    with shop(one, name) as (pid, url):
        visit(url, 300)
        result = lowtide("doctor", "--json", pid)
    assert result.code in (0, 1), result
    assert FINDINGS[name] in [finding["id"] for finding in result.json["result"]["findings"]]


@pytest.mark.parametrize("one", some_interpreters(), ids=lambda interpreter: interpreter.id)
def test_doctor_sees_a_local_variable(lowtide, one):
    with shop(one, "seen-ids") as (pid, url):
        visit(url, VISITS["seen-ids"])
        result = lowtide("doctor", "--json", pid)
    assert result.code in (0, 1), result
    said = [finding for finding in result.json["result"]["findings"] + result.json["result"]["containers"]
            if "seen" in finding["expression"]]
    assert any("worker.py:" in finding["expression"] + finding["where"] for finding in said), result.json["result"]
