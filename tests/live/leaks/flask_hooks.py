"""A Flask view that registers a function to run before each request, at each request."""
from flask import Flask, request

from load import turns

REQUIRES = ["flask"]
EXPECT = {"kind": ["callback-list"],
          "expression": ["sys.modules['flask_hooks'].app.before_request_funcs[None]",
                         "sys.modules['flask_hooks'].app.before_request_funcs"]}

app = Flask(__name__)
app.before_request_funcs[None] = []


def audit(user, trail):
    def before():
        if user == -1:
            trail.append(request.path)
    return before


@app.route("/login/<int:user>")
def login(user):
    app.before_request_funcs[None].append(audit(user, ["login of user %d, step %d" % (user, i) for i in range(20)]))
    return "hello"


def main():
    client = app.test_client()
    for turn in turns(100, warm_up=200):
        client.get("/login/%d" % turn)
        client.get("/nowhere")
