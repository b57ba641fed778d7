"""What only a context variable holds is reached through the variable, in an expression that is true."""
from harness import Target

SCRIPT = '''
import contextvars, sys, types
app = types.ModuleType("app")
sys.modules["app"] = app
app.crumbs = contextvars.ContextVar("crumbs")
app.others = [contextvars.ContextVar("other %d" % i) for i in range(40)]
for variable in app.others:
    variable.set([])
app.crumbs.set([{"crumb": [i]} for i in range(9000)])
kept = contextvars.copy_context()
kept.run(lambda: app.others[7].set([[i] for i in range(8000)]))
app.kept = kept
app.crumbs.set([{"crumb": [i]} for i in range(7000)])
del variable, kept, app
ready()
while True:
    ready(length=len(eval(wait_line(), {"sys": sys})))
'''


def test_expressions_of_context_variables(interpreter, lowtide):
    with Target(interpreter, SCRIPT) as target:
        target.wait_asleep()
        result = lowtide("doctor", "--json", target.pid)
        assert result.code == 0, result
        found = {row["expression"]: row["length"] for row in result.json["result"]["containers"]}
        wanted = {"in one of its threads: sys.modules['app'].crumbs.get()": 7000,
                  "sys.modules['app'].kept[sys.modules['app'].crumbs]": 9000,
                  "sys.modules['app'].kept[sys.modules['app'].others[7]]": 8000}
        assert {key: found.get(key) for key in wanted} == wanted, found
        for expression, length in wanted.items():
            target.send(expression.removeprefix("in one of its threads: "))
            assert target.wait_ready()["length"] == length
