"""Calls tasks over HTTP, as any program would, and prints what it was told.

http_calls.py SCENARIO ADDRESS TOKEN [MORE…]
"""

import concurrent.futures
import json
import sys

import httpx


def client(address, token):
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.Client(base_url=address, headers=headers, timeout=90)


def call(http, task, args=None, tenant="default", key=None, **more):
    body = {"task": task, **({"args": args} if args is not None else {}), **more}
    headers = {"Idempotency-Key": key} if key else {}
    return http.post(f"/v1/tenants/{tenant}/tasks", json=body, headers=headers)


def told(answer):
    """What went wrong, without what differs between any two answers."""
    error = answer.json()["error"]
    return [answer.status_code, error["code"], error["message"], error["hint"]]


def events(http, path, last=None, until=None):
    """The events of a stream, up to its end or to one of a kind."""
    seen, event = [], {}
    headers = {"Last-Event-ID": last} if last else {}
    with http.stream("GET", path, headers=headers) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        for line in stream.iter_lines():
            if not line:
                if "event" in event:
                    seen.append(event)
                    if event["event"] == until:
                        return seen
                event = {}
            elif not line.startswith(":"):
                name, _, value = line.partition(": ")
                event[name] = value
    return seen


def calls(http):
    """A call from its answer to its result, digit by digit."""
    body = '{"task":"text.echo","args":[[1.5,9007199254740993]],"queue":"celery","priority":3}'
    kind = {"Content-Type": "application/json"}
    sent = http.post("/v1/tenants/default/tasks", content=body, headers=kind)
    links = sent.json()["links"]
    ended = http.get(links["self"], params={"wait": 60})
    failed = call(http, "flaky.fails", ["ValueError", "boom"]).json()
    failed = http.get(failed["links"]["self"], params={"wait": 60}).json()
    later = call(http, "text.echo", [1], countdown_seconds=3600).json()
    later = http.get(later["links"]["self"])
    return {
        "sent": [sent.status_code, sent.json()["state"]],
        "digits": "[1.5,9007199254740993]" in ended.text,
        "state": ended.json()["state"],
        "ended": ended.json()["ended"],
        "cpu": ended.json()["usage"]["cpu_us"] > 0,
        "failed": [failed["state"], failed["exception"]["class"], failed["exception"]["message"]],
        "later": [later.status_code, later.json()["state"], later.json()["ended"]],
    }


def follows(http):
    """A stream of events, begun before the task, broken off and taken up again."""
    sent = call(http, "report.build", ["t"], kwargs={"pages": 5, "wait_ms": 200}, countdown_seconds=3).json()
    path = sent["links"]["events"]
    first = events(http, path, until="progress")
    rest = events(http, path, last=first[-1]["id"])
    kinds = [event["event"] for event in first + rest]
    pages = [json.loads(event["data"])["meta"]["current"] for event in first + rest if event["event"] == "progress"]
    lines = [json.loads(event["data"])["message"] for event in rest if event["event"] == "log"]
    again = events(http, path, last=rest[-1]["id"])
    return {
        "kinds": sorted(set(kinds)),
        "pages_in_order": pages == sorted(set(pages)),
        "lines": lines,
        "last": kinds[-1],
        "result": json.loads(rest[-1]["data"])["result"]["pages"],
        "again": [event["event"] for event in again],
    }


def revokes(http):
    """A task that runs is ended, and one that waits is not run."""
    sent = call(http, "report.build", ["t"], kwargs={"pages": 10000, "wait_ms": 100}).json()
    events(http, sent["links"]["events"], until="progress")
    revoked = http.post(sent["links"]["revoke"], json={"terminate": True})
    ended = http.get(sent["links"]["self"], params={"wait": 60}).json()
    waits = call(http, "text.echo", [1], countdown_seconds=3600).json()
    waiting = http.post(waits["links"]["revoke"])
    return {
        "revoked": [revoked.status_code, revoked.json()["terminate"]],
        "ended": [ended["state"], ended["ended"]],
        "waiting": waiting.status_code,
    }


def keys(http):
    """Fifty requests at once with one key, and others."""
    def one(_):
        return call(http, "text.echo", ["once"], key="order-17")

    with concurrent.futures.ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(one, range(50)))
    ids = {answer.json()["id"] for answer in answers}
    ended = http.get(answers[0].json()["links"]["self"], params={"wait": 60}).json()
    later = call(http, "text.echo", ["once"], key="order-17")
    other = call(http, "text.echo", ["twice"], key="order-17")
    wrong = call(http, "text.no_such", [], key="order-18")
    mended = call(http, "text.echo", [1], key="order-18")
    long = call(http, "text.echo", [1], key="x" * 256)
    return {
        "statuses": sorted({answer.status_code for answer in answers}),
        "ids": len(ids),
        "state": ended["state"],
        "later": later.json()["id"] in ids,
        "other": told(other)[:2],
        "wrong": told(wrong)[:2],
        "mended": mended.status_code,
        "long": told(long)[:2],
    }


def bad(http):
    """Each member of a request, wrong."""
    good = {"task": "text.word_count", "args": ["a b"]}
    wrong = {
        "task": "nothing.of_ours",
        "args": {},
        "kwargs": [],
        "queue": "elsewhere",
        "countdown_seconds": -1,
        "eta": "tomorrow",
        "expires": "yesterday",
        "priority": 10,
        "headers": {"reply_to": "x"},
        "reply_to": "x",
        "id": "mine",
    }
    found = {}
    for member, value in wrong.items():
        answer = http.post("/v1/tenants/default/tasks", json={**good, member: value})
        status, code, message, _ = told(answer)
        found[member] = [status, code, member in message or str(value) in message]
    for name, more in {
        "missing": {"args": []},
        "unexpected": {"kwargs": {"colour": 1}},
        "type": {"args": [7]},
        "many": {"args": ["a", True, 3]},
    }.items():
        answer = http.post("/v1/tenants/default/tasks", json={**good, **more})
        found[name] = told(answer)[:3]
    for name, path in {"wait": "x?wait=61", "unknown": "x?weight=1", "id_unknown": "x"}.items():
        found[name] = told(http.get(f"/v1/tenants/default/tasks/{path}"))[:2]
    text = http.post("/v1/tenants/default/tasks", content="{}", headers={"Content-Type": "text/plain"})
    found["kind"] = told(text)[:2]
    return found


def others(http, address, acme, reader):
    """What one tenant does with another's, and what is not there."""
    theirs = call(http, "text.echo", [1], key="k").json()["id"]
    nobody = "00000000-0000-8000-8000-000000000000"
    with client(address, acme) as own:
        def same(one, two, name_one, name_two):
            """Whether two answers differ in the name of what was asked for alone."""
            one, two = told(one), told(two)
            one[2], two[2] = one[2].replace(name_one, "X"), two[2].replace(name_two, "X")
            return [one == two, one[0]]

        tenants = [
            same(
                own.get(f"/v1/tenants/default/tasks/{theirs}{more}"),
                own.get(f"/v1/tenants/nobody/tasks/{theirs}{more}"),
                "default",
                "nobody",
            )
            for more in ("", "/events", "?wait=1")
        ]
        tenants.append(same(call(own, "text.echo", [1]), call(own, "text.echo", [1], "nobody"), "default", "nobody"))
        ids = [
            same(own.request(method, f"/v1/tenants/acme/tasks/{theirs}{more}"), own.request(method, f"/v1/tenants/acme/tasks/{nobody}{more}"), theirs, nobody)
            for method, more in (("GET", ""), ("GET", "?wait=1"), ("GET", "/events"), ("POST", "/revoke"))
        ]
        task = told(call(own, "text.echo", [1], "acme"))
        with client(address, reader) as looks:
            forbidden = told(call(looks, "text.echo", [1], "acme"))[:2]
    still = http.get(f"/v1/tenants/default/tasks/{theirs}", params={"wait": 60}).json()["state"]
    return {"tenants": tenants, "ids": ids, "task": task[:3], "forbidden": forbidden, "still": still}


def main():
    scenario, address, token, *more = sys.argv[1:]
    with client(address, token) as http:
        known = {"calls": calls, "follows": follows, "revokes": revokes, "keys": keys, "bad": bad}
        done = others(http, address, *more) if scenario == "others" else known[scenario](http)
    print(json.dumps(done))


main()
