"""Composes tasks as any Celery program does, and prints what it saw as JSON."""

import json
import sys
import time
import uuid

import celery
from celery import Celery, chain, chord, group
from celery.result import AsyncResult

PATIENCE = 60  # seconds; a busy machine needs some of them


class Tasks:
    """Signatures of tasks that only workers know."""

    def __init__(self, app):
        self.app = app

    def __getattr__(self, name):
        def sign(*args, **kwargs):
            return self.app.signature(f"numbers.{name}", args=args, kwargs=kwargs)

        return sign

    def echo(self, value):
        return self.app.signature("text.echo", args=[value])

    def fails(self, *args, **options):
        return self.app.signature("flaky.fails", args=["ValueError", "boom"], immutable=True, **options)

    def still(self, name, *args):
        """A task that does not want to know what was before it."""
        return self.app.signature(f"numbers.{name}", args=args, immutable=True)

    def errback(self, name):
        """Returns what it is called with: the id of what failed."""
        return self.app.signature("text.echo").set(task_id=name)


def caught(result):
    """Returns the class and the text of what `get` raises."""
    try:
        value = got(result)
    except Exception as error:
        return [type(error).__name__, str(error)]
    return ["returned", value]


def got(result, patience=PATIENCE):
    """Waits for a result. Old clients miss what comes while they subscribe: they look for it."""
    end = time.monotonic() + patience
    while celery.VERSION < (5, 5) and not result.ready() and time.monotonic() < end:
        time.sleep(0.02)
    return result.get(timeout=patience)


def waited(app, name):
    return got(AsyncResult(name, app=app))


def chains(app, t):
    add, multiply = t.add, t.multiply
    seen = {}
    first = chain(add(1, 2), add(3), multiply(4))()
    seen["three"] = got(first)
    seen["steps"] = [got(first.parent), got(first.parent.parent)]
    meta = app.backend.get_task_meta(first.parent.id)
    if celery.VERSION < (5, 5) and hasattr(app.backend, "ResultSession"):
        # Its tables have no column for them.
        meta = {"children": [[[first.id]]], **meta}
    seen["child"] = [child[0][0] for child in meta["children"]] == [first.id]
    # Celery's tables have no column for it.
    seen["parent"] = meta.get("parent_id") == first.parent.parent.id or app.conf.result_backend.startswith("db+")
    seen["one"] = got(chain(add(1, 2))())
    seen["immutable"] = got(chain(add(1, 2), app.signature("numbers.add", args=(5, 5), immutable=True))())
    seen["long"] = got(chain(add(0, 0), *[add(1) for _ in range(50)])())
    failed = chain(add(1, 2), t.fails(), add(3), add(4))()
    seen["failed"] = caught(failed)
    # They are failed after what failed itself, the last one at the end.
    for unreached in (failed.parent, failed):
        caught(AsyncResult(unreached.id, app=app))
    seen["unreached"] = [failed.state, failed.parent.state, failed.parent.parent.state, failed.parent.parent.parent.state]
    unknown = chain(add(1, 2), app.signature("no.such"), add(3))()
    seen["unknown"] = caught(unknown)[0]
    return seen


def replies(app, t):
    """What a client sees to whom results are sent: those of its own tasks."""
    seen = {"three": got(chain(t.add(1, 2), t.add(3), t.multiply(4))())}
    seen["failed"] = caught(chain(t.add(1, 2), t.fails(), t.add(3))())
    seen["groups"] = got(group(t.add(n, n) for n in range(3))())
    seen["in_chain"] = got((t.add(1, 1) | group(t.add(n) for n in range(3)))())
    return seen


def links(app, t):
    seen = {}
    one, two = t.add(10).set(task_id="link-one"), t.add(20).set(task_id="link-two")
    call = t.add(1, 2).apply_async(link=[one, two])
    seen["result"] = got(call)
    seen["linked"] = [waited(app, name) for name in ("link-one", "link-two")]
    t.add(1, 2).apply_async(link=t.add(100).set(task_id="link-alone"))
    seen["alone"] = waited(app, "link-alone")
    t.add(1, 2).apply_async(link=t.still("add", 5, 5).set(task_id="link-immutable"))
    seen["immutable"] = waited(app, "link-immutable")
    failed = t.fails().apply_async(link_error=t.errback("errback"))
    seen["failed"] = caught(failed)
    seen["errback"] = waited(app, "errback") == failed.id
    failed = app.send_task("no.such", link_error=[t.errback(f"errback-{n}") for n in (1, 2)])
    seen["unknown"] = caught(failed)[0]
    seen["errbacks"] = [waited(app, f"errback-{n}") == failed.id for n in (1, 2)]
    failed = chain(t.add(1, 2), t.fails(), t.add(3)).apply_async(link_error=t.errback("errback-chain"))
    seen["of_chain"] = waited(app, "errback-chain") == failed.parent.id
    failing = group(t.add(1, 1), t.fails())
    failing.link_error(t.errback("errback-group"))
    failed = failing.apply_async()
    seen["of_group"] = waited(app, "errback-group") == failed.results[1].id
    return seen


def groups(app, t):
    seen = {}
    three = group(t.add(n, n) for n in range(3))()
    seen["three"] = got(three)
    inside = (t.add(1, 1) | group(t.add(n) for n in range(3)))()
    seen["in_chain"] = got(inside)
    metas = [app.backend.get_task_meta(one.id) for sent in (three, inside) for one in sent.results]
    ids = [meta.get("group_id") for meta in metas]
    seen["ids"] = ids == [three.id] * 3 + [inside.id] * 3 or app.conf.result_backend.startswith("db+")
    seen["nested"] = got(group(t.add(1, 1), group(t.add(2, 2), t.add(3, 3)))())
    return seen


def family(app, t):
    """Whom tasks say that they come from: the first of all, and the one before them."""
    seen = {}
    told = lambda n: app.signature("odd.told", args=(n,), immutable=True)
    sent = chain(told(1), told(2), told(3))()
    third, second, first = (got(one) for one in (sent, sent.parent, sent.parent.parent))
    ids = [first[0], second[0], third[0]]
    seen["ids"] = ids == [sent.parent.parent.id, sent.parent.id, sent.id]
    seen["roots"] = [step[1] for step in (first, second, third)] == [ids[0]] * 3
    seen["parents"] = [step[2] for step in (first, second, third)] == [None, *ids[:2]]
    sent = (told(1) | group(told(2), told(3)) | told(4)).apply_async()
    body = got(sent)
    members = [got(member) for member in sent.parent.results]
    head = members[0][1]
    seen["members"] = [(member[1], member[2]) for member in members] == [(head, head)] * 2
    # Where nobody counts, it comes from who looked.
    seen["body"] = body[1] == head and (body[2] in [member[0] for member in members]) == app.backend.supports_native_join
    linked = told(5).set(task_id="family-linked")
    call = told(6).apply_async(link=linked)
    seen["linked"] = waited(app, "family-linked")[:3] == ["family-linked", call.id, call.id]
    return seen


def ends(calls):
    """Waits for what was sent, all of it at the same time."""
    return {name: got(call) for name, call in calls.items()}


def chords(app, t):
    add, total, echo = t.add, t.total, app.signature("text.echo")
    deep = add(1, 1)
    for _ in range(5):
        deep = chord([deep, add(1, 1)], total())
    seen = ends({
        "simple": chord([add(n, n) for n in range(10)])(total()),
        "one": chord([add(1, 1)])(total()),
        "empty": chord([])(total()),
        "in_chain": (add(1, 2) | group(add(3), add(4)) | total() | t.multiply(2))(),
        "of_chains": chord([chain(add(1, 1), add(1)), add(2, 2)])(total()),
        "of_chords": chord([chord([add(1, 1), add(2, 2)], total()), add(5, 5)])(total()),
        "twice": (group(add(1, 1), add(2, 2)) | total() | group(add(1), add(2)) | total())(),
        "body_chain": chord([add(1, 1), add(2, 2)])(chain(total(), add(1), add(1))),
        "body_group": (group(add(1, 1), add(2, 2)) | group(total(), total()))(),
        "body_immutable": chord([add(1, 1), add(2, 2)])(t.still("add", 5, 5)),
        "ends_in_group": chord([chain(add(1, 1), group(add(1), add(2))), add(9, 9)])(echo),
        "deep": deep.apply_async(),
        "order": chord([t.echo(n) for n in range(30)])(echo),
    })
    seen["order"] = seen["order"] == list(range(30))
    return seen


def chord_errors(app, t):
    add, total, fails = t.add, t.total, t.fails
    body = chord([add(1, 1), fails()])(total().on_error(t.errback("body-errback")))
    whole = chord([add(1, 1), fails()], total())
    whole.link_error(t.errback("chord-errback"))
    sent = {
        "failed": body,
        "in_chain": chord([chain(fails(), add(1)), add(1, 1)])(total()),
        "rest": (group(add(1, 1), fails()) | total() | add(1))(),
        "unknown": chord([add(1, 1), app.signature("no.such")])(total()),
        # RabbitMQ drops what is late where it cannot hand it on at once.
        "expired": chord([add(1, 1), add(1, 1).set(expires=-1, queue="late")])(total()),
        "nested": chord([chord([fails(), add(1, 1)], total()), add(1, 1)])(total()),
    }
    of_member = chord([add(1, 1), fails(link_error=[t.errback("member-errback")])])(total())
    of_chord = whole.apply_async()
    seen = {name: caught(AsyncResult(call.id, app=app)) for name, call in sent.items()}
    seen["errback"] = waited(app, "body-errback") == body.id
    seen["errback_of_member"] = waited(app, "member-errback") == of_member.parent.results[1].id
    seen["errback_of_chord"] = waited(app, "chord-errback") == of_chord.id
    return seen


def mixed(app, t):
    """Composes tasks of which some are in Python and some are not."""
    ours, theirs = t.add, lambda *args: app.signature("py.add", args=args)
    total_here, total_there = t.total(), app.signature("py.total")
    seen = {}
    seen["chain"] = got(chain(ours(1, 2), theirs(3), ours(4), theirs(5), ours(6))())
    seen["from_there"] = got(chain(theirs(1, 2), ours(3), theirs(4))())
    half = [ours(1, 1), theirs(2, 2), ours(3, 3), theirs(4, 4)]
    seen["group"] = got(group(half)())
    seen["body_here"] = got(chord(half)(total_here))
    seen["body_there"] = got(chord(half)(total_there))
    seen["in_chain"] = got((theirs(1, 1) | group(ours(1), theirs(2)) | total_there | ours(5)).apply_async())
    boom = app.signature("py.boom", immutable=True)
    seen["failed_there"] = caught(chain(ours(1, 2), boom, ours(3))())
    failed = chord([ours(1, 1), boom])(total_here)
    seen["chord_failed_there"] = caught(AsyncResult(failed.id, app=app))[0]
    failed = chord([theirs(1, 1), t.fails()])(total_there)
    seen["chord_failed_here"] = caught(AsyncResult(failed.id, app=app))[0]
    name = uuid.uuid4().hex
    failed = t.fails().apply_async(link_error=app.signature("py.echo", queue="python").set(task_id=f"there-{name}"))
    seen["errback_there"] = waited(app, f"there-{name}") == failed.id
    failed = boom.clone().set(queue="python").apply_async(link_error=t.errback(f"here-{name}").set(queue="celery"))
    seen["errback_here"] = waited(app, f"here-{name}") == failed.id
    failed = chord([ours(1, 1), boom])(total_here.on_error(app.signature("py.echo").set(task_id=f"body-{name}")))
    seen["errback_of_body"] = waited(app, f"body-{name}") == failed.id
    starmap = lambda queue, task, pairs: app.signature(
        "celery.starmap", kwargs={"task": app.signature(task), "it": pairs}, queue=queue, immutable=True,
    )
    halves = [starmap("celery", "numbers.add", [[1, 1], [2, 2]]), starmap("python", "py.add", [[3, 3]])]
    seen["starmaps"] = got(chord(halves)(app.signature("text.echo")))
    seen["starmaps_there"] = got(chord(halves)(app.signature("py.echo")))
    pairs = [[1, 1], [2, 2]]
    seen["starmap_handed_on"] = got(starmap("celery", "py.add", pairs).apply_async())
    seen["starmap_there_between"] = got(chain(ours(1, 2), starmap("python", "py.add", pairs), total_here, ours(1))())
    seen["starmap_here_between"] = got(chain(theirs(1, 2), starmap("celery", "numbers.add", pairs), total_there)())
    return seen


def many(app, t):
    """Sends chords whose workers are killed meanwhile, and waits for each."""
    calls = []
    for n in range(40):
        header = [chain(t.add(n, i), t.add(1)) for i in range(5)] + [t.add(n, i) for i in range(5)]
        calls.append(chord(header)(chain(t.total().set(queue="bodies"), t.multiply(2))))
    ends = [got(call, 2 * PATIENCE) for call in calls]
    return {"right": ends == [2 * (10 * n + 25) for n in range(40)]}


def long_chains(app, t):
    """Sends chains whose workers are killed meanwhile, and waits for each."""
    calls = [chain(t.add(n, 0), *[t.add(1) for _ in range(60)])() for n in range(12)]
    return {"right": [got(call, 2 * PATIENCE) for call in calls] == [n + 60 for n in range(12)]}


def frozen(app, t):
    """Applies signatures with ids of their own twice."""
    steps = chain(t.add(1, 2), t.add(3), t.add(4))
    steps.freeze()
    seen = {"chain": [steps.apply_async().get(timeout=PATIENCE) for _ in range(2)]}
    call = t.fails().apply_async(task_id="resent")
    seen["failed"] = caught(call)
    app.send_task("text.echo", args=["later"], task_id="resent", link=t.echo("told").set(task_id="told", immutable=True))
    return seen


def resent(app, t):
    return {"failed": caught(AsyncResult("resent", app=app)), "told": AsyncResult("told", app=app).state}


def unheard(app, t):
    """A chord of which one part's end is stored and not heard of."""
    lost = t.add(1, 1).set(task_id="unheard", link=[t.add(10).set(task_id="linked")])
    body = chord([lost, t.add(2, 2)])(t.total())
    linked = AsyncResult("linked", app=app).get(timeout=PATIENCE)
    return {"body": body.get(timeout=PATIENCE), "linked": linked}


def main():
    what, broker, backend = sys.argv[1:]
    app = Celery(broker=broker, backend=backend)
    scenes = [
        chains, replies, links, groups, family, chords, chord_errors, mixed, many, long_chains, frozen, resent, unheard,
    ]
    print(json.dumps({scene.__name__: scene for scene in scenes}[what](app, Tasks(app))))


main()
