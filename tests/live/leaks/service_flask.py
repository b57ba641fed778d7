"""Healthy: Flask behind lru_cache(maxsize=256), which is still filling while it is looked at."""
import functools

from flask import Flask, render_template_string

from load import turns

REQUIRES = ["flask"]
EXPECT = None

app = Flask(__name__)


@functools.lru_cache(maxsize=256)
def article_text(number):
    return {"number": number, "words": ["word %d of %d" % (i, number) for i in range(10)]}


@app.route("/article/<int:number>")
def article(number):
    return render_template_string("<h1>{{ words|join }}</h1>", words=article_text(number)["words"])


def main():
    client = app.test_client()
    for turn in turns(100, warm_up=400):
        client.get("/article/%d" % (turn % 20 if turn % 20 else turn // 20))
