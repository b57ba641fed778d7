"""A Flask extension that keeps the history of all requests in app.extensions."""
from flask import Flask, request

from load import turns

REQUIRES = ["flask"]
EXPECT = {"kind": ["instance-attribute"],
          "expression": ["sys.modules['flask_extension'].app.extensions['audit'].entries"]}


class Audit:
    def __init__(self, app):
        self.entries = []
        app.extensions["audit"] = self
        app.after_request(self.note)

    def note(self, response):
        self.entries.append({"path": request.full_path, "status": response.status_code,
                             "headers": [list(pair) for pair in response.headers]})
        return response


app = Flask(__name__)
Audit(app)


@app.route("/")
def index():
    return "index " + request.args.get("q", "")


def main():
    client = app.test_client()
    for turn in turns(250, warm_up=400):
        client.get("/?q=%d" % turn)
