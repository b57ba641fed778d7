"""A target in a container: process 1 of its own PID namespace, in a root and mount namespace of its own."""
import pytest
from harness import Target, interpreters

ROOTED = [i for i in interpreters() if i.root is not None]
SCRIPT = """
class Parcel:
    pass
parcels = {n: Parcel() for n in range(30000)}
ready(count=len(parcels))
"""


@pytest.fixture(params=ROOTED or [None], ids=lambda i: i.id if i else "none")
def service(request):
    if request.param is None:
        pytest.skip("no interpreter with a root of its own")
    with Target(request.param, SCRIPT, container=True) as target:
        assert target.facts["pid"] == 1
        yield target


def test_types_counts_in_a_container(service, lowtide):
    result = lowtide("types", "--json", service.pid)
    assert result.code == 0, result
    rows = {(row["module"], row["type"]): row["count"] for row in result.json["result"]["rows"]}
    assert rows["__main__", "Parcel"] == service.facts["count"]
    assert result.json["target"]["pid"] == service.pid


def test_doctor_names_what_a_container_holds(service, lowtide):
    result = lowtide("doctor", "--json", service.pid)
    assert result.code in (0, 1), result
    findings = result.json["result"]["findings"]
    assert any(finding["expression"] == "sys.modules['__main__'].parcels" for finding in findings), findings
    assert service.settled()


def test_ps_lists_a_container_by_its_outer_pid(service, lowtide):
    result = lowtide("ps", "--json")
    assert result.code == 0, result
    found = [p for p in result.json["result"]["processes"] if p["pid"] == service.pid]
    assert len(found) == 1 and found[0]["python"] == "%d.%d.%d" % service.interpreter.version, found
