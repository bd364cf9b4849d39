"""Take votes from the list in Redis to the table in PostgreSQL, one row per voter. Written for tests.

A vote stays in `taken` until its row is committed, so a worker that dies loses none.
"""

import json
import time

import psycopg2
import redis


def work() -> None:
    votes = redis.Redis(host="redis", socket_timeout=10)
    database = psycopg2.connect("host=db user=postgres password=postgres connect_timeout=5")
    database.autocommit = True
    with database.cursor() as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS votes (id VARCHAR(255) PRIMARY KEY, vote VARCHAR(255) NOT NULL)")
        print("waiting for votes")
        while True:
            text = votes.lindex("taken", -1) or votes.blmove("votes", "taken", 2, "LEFT", "LEFT")
            if text is None:
                cursor.execute("SELECT 1")  # notices a database that went away
                continue
            vote = json.loads(text)
            cursor.execute(
                "INSERT INTO votes VALUES (%s, %s) ON CONFLICT (id) DO UPDATE SET vote = excluded.vote",
                (vote["voter_id"], vote["vote"]),
            )
            votes.lrem("taken", 1, text)
            print("counted a vote for", vote["vote"])


while True:
    try:
        work()
    except (redis.RedisError, psycopg2.Error) as problem:
        print("waiting:", problem)
        time.sleep(1)
