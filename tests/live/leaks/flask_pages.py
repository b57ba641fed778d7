"""A Flask application that keeps each rendered page under its full address, query string included."""
from flask import Flask, render_template_string, request

from load import turns

REQUIRES = ["flask"]
EXPECT = {"kind": ["module-container"], "expression": ["sys.modules['flask_pages'].PAGES"]}

app = Flask(__name__)
PAGES = {}


@app.route("/article/<int:number>")
def article(number):
    if request.full_path not in PAGES:
        rows = [{"line": i, "text": "%d of %s" % (i, request.full_path)} for i in range(6)]
        PAGES[request.full_path] = {"html": render_template_string("<h1>{{ n }}</h1>", n=number), "rows": rows}
    return PAGES[request.full_path]["html"]


def main():
    client = app.test_client()
    for turn in turns(250, warm_up=400):
        client.get("/article/%d?visit=%d" % (turn % 10, turn))
