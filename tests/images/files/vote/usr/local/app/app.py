"""A page with two choices; each vote goes to the list `votes` in Redis. Written for tests."""

import json
import os
import secrets

import flask
import redis

CHOICES = {"a": os.getenv("OPTION_A", "Cats"), "b": os.getenv("OPTION_B", "Dogs")}
app = flask.Flask(__name__)
votes = redis.Redis(host="redis", socket_timeout=5)


@app.route("/", methods=["GET", "POST"])
def vote():
    """Show the choices; take a vote where there is one."""
    voter = flask.request.cookies.get("voter_id") or secrets.token_hex(8)
    chosen = flask.request.form.get("vote", "")
    if chosen in CHOICES:
        votes.rpush("votes", json.dumps({"voter_id": voter, "vote": chosen}))
    buttons = "".join(f'<button name="vote" value="{key}">{name}</button>' for key, name in CHOICES.items())
    answer = flask.make_response(f'<title>Vote</title><form method="post">{buttons}</form><p>{chosen}</p>')
    answer.set_cookie("voter_id", voter)
    return answer
