"""Composes tasks of which each has options of its own, and prints what became of them as JSON.

    parts.py sent BROKER BACKEND QUEUE     the messages that the worker of QUEUE sends for them
    parts.py served BROKER BACKEND QUEUE   what the worker of QUEUE makes of them
"""

import datetime
import json
import sys
import time

from celery import Celery, chain, chord, group
from celery.result import AsyncResult

from patience import PATIENCE, caught

UTC = datetime.timezone.utc
# Members of the protocol that a caller may choose.
CHOSEN = ["timelimit", "ignore_result", "shadow", "retries", "group_index", "replaced_task_nesting", "stamps"]
OWN = ["x-shop", "x-n", "x-list"]


class Tasks:
    """Tasks of one worker, and parts that go to a queue which nobody serves."""

    def __init__(self, app, queue):
        self.app, self.queue, self.aside = app, queue, f"aside-{queue}"

    def sign(self, name, *args, **options):
        return self.app.signature(name, args=args, options={"queue": self.queue, **options})

    def add(self, *args, **options):
        return self.sign("numbers.add", *args, **options)

    def echo(self, *args, **options):
        return self.sign("text.echo", *args, **options)

    def total(self, **options):
        return self.sign("numbers.total", **options)

    def fails(self, **options):
        return self.app.signature(
            "flaky.fails", args=["ValueError", "boom"], immutable=True, options={"queue": self.queue, **options},
        )

    def part(self, name, options):
        return self.app.signature(f"aside.{name}", args=["own"], options={"queue": self.aside, **options})


def options():
    """Options by name, and stamps."""
    soon = datetime.datetime.now(UTC) + datetime.timedelta(seconds=2)
    late = datetime.datetime.now(UTC) + datetime.timedelta(seconds=600)
    return {
        "none": {},
        "priority": {"priority": 7},
        "ignored": {"ignore_result": True},
        "wanted": {"ignore_result": False},
        "limits": {"time_limit": 9, "soft_time_limit": 4.5},
        "countdown": {"countdown": 2},
        "eta": {"eta": soon},
        "expires": {"expires": 600},
        "moment": {"expires": late},
        "shadow": {"shadow": "a shadow"},
        "headers": {"headers": {"x-shop": "seven", "x-n": 7, "x-list": [1, {"a": None}]}},
        "stamps": {"stamped_headers": ["many", "order"], "order": "o-1", "many": ["a", "b"]},
        "reprs": {"argsrepr": "(hidden)", "kwargsrepr": "{hidden}"},
        "retries": {"retries": 2},
        "reply": {"reply_to": "answers"},
        "linked": {"link": [], "link_error": []},
        "form": {"compression": "gzip", "delivery_mode": 1},
    }


# Where a part may stand. What is before it runs in the worker that is asked.
PLACES = {
    "link": lambda t, part: t.add(1, 2).apply_async(link=part),
    "links": lambda t, part: t.add(1, 2).apply_async(link=[t.echo(), part]),
    "errback": lambda t, part: t.fails().apply_async(link_error=part),
    "step": lambda t, part: chain(t.add(1, 2), part, t.echo()).apply_async(),
    "member": lambda t, part: chain(t.echo(1), group(t.echo(), part)).apply_async(),
    "header": lambda t, part: chain(t.echo(1), chord([t.echo(), part], t.total())).apply_async(),
    "body": lambda t, part: chain(t.echo(1), group(t.echo(), t.echo()), part, t.echo()).apply_async(),
    "chord": lambda t, part: chord([t.echo(1), t.echo(2)])(part),
}


def moment(text):
    at = datetime.datetime.fromisoformat(text)
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def names(signatures):
    return [one["task"] for one in signatures or []]


def described(message, began):
    """What a message says, without what is another for each call."""
    headers, properties = message.headers, message.properties
    args, kwargs, embed = json.loads(message.body)
    args = ["the id of what failed" if isinstance(arg, str) and len(arg) == 36 else arg for arg in args]
    seen = {name: headers[name] for name in CHOSEN}
    seen["timelimit"] = [limit and float(limit) for limit in headers["timelimit"]]
    seen["stamped"] = sorted(headers["stamped_headers"] or [])
    seen["own"] = {name: headers[name] for name in OWN if name in headers}
    seen["eta"] = headers["eta"] and began < moment(headers["eta"]) < time.time() + 2
    seen["expires"] = headers["expires"] and began + 590 < moment(headers["expires"]) < time.time() + 600
    seen["family"] = [bool(headers[name]) for name in ("root_id", "parent_id", "group")]
    hidden = headers["argsrepr"] == "(hidden)", headers["kwargsrepr"] == "{hidden}"
    seen["hidden"] = list(hidden)
    seen["priority"] = properties.get("priority")
    seen["reply_to"] = properties.get("reply_to") == "answers"
    seen["form"] = [headers.get("compression"), properties.get("delivery_mode")]
    seen["correlated"] = properties["correlation_id"] == headers["id"]
    seen["args"], seen["kwargs"] = args, kwargs
    seen["links"] = [names(embed["callbacks"]), names(embed["errbacks"]), names(embed["chain"])]
    seen["chord"] = embed["chord"] and embed["chord"]["task"]
    return seen


def sent(app, t):
    """What the worker sends for a part at each place, with each option."""
    began = time.time() - 1
    seen, wanted = {}, set()
    for place, call in PLACES.items():
        for name, chosen in options().items():
            part = t.part(f"{place}.{name}", chosen)
            if name == "linked":
                part.link(t.echo())
                part.link_error(t.echo())
            call(t, part)
            wanted.add(f"{place}.{name}")
    with app.connection_for_read() as connection:
        queue = connection.SimpleQueue(t.aside, no_ack=True)
        while wanted:
            message = queue.get(timeout=PATIENCE)
            name = message.headers["task"].removeprefix("aside.")
            wanted.remove(name)
            seen[name] = described(message, began)
        queue.close()
    return seen


def stored(app, call):
    """What is kept of an ended task beside its result: Celery sends what follows before it."""
    caught(call)
    meta = app.backend.get_task_meta(call.id)
    names = ["name", "queue", "retries", "order", "many", "stamped_headers"]
    if app.conf.result_backend.startswith("db+"):
        names = names[:3]
    kept = {name: meta.get(name) for name in names}
    return {**kept, "stamped_headers": sorted(kept.get("stamped_headers") or [])}


def told(app, name, t, **options):
    """A signature by whose result is seen what came before it."""
    return t.echo(task_id=f"{name}-{t.queue}", **options)


def waited(app, name, t):
    return caught(AsyncResult(f"{name}-{t.queue}", app=app))


def ignored(app, t):
    """Tasks whose results nobody wants to know: what follows them gets these all the same."""
    add, total = t.add, t.total
    step = chain(add(1, 2), add(3, ignore_result=True), add(4)).apply_async()
    seen = {"step": [caught(step), step.parent.state, step.parent.parent.state]}
    first = chain(add(1, 2, ignore_result=True), add(3)).apply_async()
    seen["first"] = [caught(first), first.parent.state]
    t.add(1, 2).apply_async(link=add(3, ignore_result=True, task_id=f"unseen-{t.queue}", link=[told(app, "linked", t)]))
    seen["link"] = [waited(app, "linked", t), AsyncResult(f"unseen-{t.queue}", app=app).state]
    body = chord([add(1, 1), add(2, 2)])(total(ignore_result=True, link=[told(app, "body", t)]))
    seen["body"] = [waited(app, "body", t), body.state]
    failed = t.fails(ignore_result=True).apply_async(link_error=told(app, "failed", t))
    seen["failed"] = [waited(app, "failed", t) == ["returned", failed.id], failed.state]
    rest = chain(add(1, 2), t.fails(ignore_result=True), add(3)).apply_async(link_error=told(app, "rest", t))
    seen["rest"] = [waited(app, "rest", t)[0], rest.parent.state]
    if app.backend.supports_native_join:
        members = chord([add(1, 1), add(2, 2, ignore_result=True)])(total())
        seen["member"] = [caught(members), [one.state for one in members.parent.results]]
        broken = chord([add(1, 1), t.fails(ignore_result=True)])(total())
        seen["broken"] = [caught(broken)[0], [one.state for one in broken.parent.results]]
    return seen


def bounded(app, t):
    """Tasks that may not run any time, nor for any time."""
    seen = {}
    waits = lambda **options: t.sign("odd.waits", 60_000, **options).set(immutable=True)
    late = {"countdown": 3, "expires": 1}
    sent = {
        "hard step": chain(t.echo(1), waits(time_limit=1)).apply_async(),
        "soft step": chain(t.echo(1), waits(soft_time_limit=1)).apply_async(),
        "hard member": chain(t.echo(1), group(t.echo(), waits(time_limit=1))).apply_async(),
        "late step": chain(t.echo(1), t.echo(**late)).apply_async(),
        "late member": chain(t.echo(1), group(t.echo(), t.echo(**late))).apply_async(),
        "late body": chord([t.echo(1), t.echo(2)])(t.echo(**late)),
        "in time": chain(t.echo(1), t.echo(expires=300)).apply_async(),
    }
    for name, call in sent.items():
        seen[name] = caught(call)[0]
    call = t.echo(1).apply_async(link=t.echo(**late, task_id=f"late-{t.queue}"))
    seen["late link"] = [caught(call), waited(app, "late", t)[0]]
    for name, call in {
        "delayed step": lambda: chain(t.echo(1), t.echo(countdown=1.5)),
        "delayed member": lambda: chain(t.echo(1), group(t.echo(), t.echo(countdown=1.5))),
        "delayed body": lambda: chord([t.echo(1), t.echo(2)], t.echo(countdown=1.5)),
    }.items():
        began = time.monotonic()
        seen[name] = [caught(call().apply_async()), time.monotonic() - began >= 1.4]
    return seen


def marked(app, t):
    """What tasks learn, and results tell, of stamps, names and headers of their own."""
    mark = {"stamped_headers": ["many", "order"], "order": "o-1", "many": ["a", "b"], "shadow": "a shadow"}
    step = chain(t.echo(1), t.echo(**mark), t.echo()).apply_async()
    got = caught(step)
    seen = {"step": [got, *(stored(app, one) for one in (step, step.parent, step.parent.parent))]}
    members = chain(t.echo(1), group(t.echo(), t.echo(**mark))).apply_async()
    seen["members"] = [caught(members), *(stored(app, one) for one in members.results)]
    body = chord([t.echo(1), t.echo(2, **mark)])(t.echo(**mark))
    seen["body"] = [caught(body), stored(app, body), *(stored(app, one) for one in body.parent.results)]
    t.echo(1).apply_async(link=told(app, "marked", t, **mark))
    seen["link"] = [waited(app, "marked", t), stored(app, AsyncResult(f"marked-{t.queue}", app=app))]
    whole = chain(t.echo(1), group(t.echo(), t.echo()), t.echo(link=[told(app, "whole", t)]))
    whole.stamp(order="o-2")
    sent = whole.apply_async()
    seen["whole"] = [caught(sent), waited(app, "whole", t), stored(app, sent)]
    seen["whole"] += [stored(app, one) for one in sent.parent.results]
    seen["whole"].append(stored(app, AsyncResult(f"whole-{t.queue}", app=app)))
    header = t.sign("odd.header", headers={"x-shop": "seven"})
    seen["header"] = caught(chain(t.echo("x-shop"), header).apply_async())
    seen["header of a member"] = caught(chain(t.echo("x-shop"), group(header, header)).apply_async())
    seen["no header"] = caught(chain(t.echo("x-shop"), t.sign("odd.header")).apply_async())
    return seen


def served(app, t):
    text = json.dumps([scene(app, t) for scene in (ignored, bounded, marked)])
    return json.loads(text.replace(t.queue, "served"))


def main():
    what, broker, backend, queue = sys.argv[1:]
    app = Celery(broker=broker, backend=backend)
    app.conf.task_default_queue = queue
    scenes = {"sent": sent, "served": served}
    print(json.dumps(scenes[what](app, Tasks(app, queue)), sort_keys=True))


main()
