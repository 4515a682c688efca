"""Composes what is wrong or too much, and prints what a Celery program sees, as JSON.

    bad_canvas.py SCENE BROKER BACKEND [MORE]
"""

import bz2
import json
import lzma
import os
import pickle
import sys
import uuid
import zlib

from celery import Celery, chain, chord, group
from celery.result import AsyncResult

from patience import PATIENCE, caught, until


class Raw:
    """Sends messages byte by byte."""

    def __init__(self, app):
        self.app = app

    def body(self, body, task="text.echo", content_type="application/json", encoding="utf-8", **headers):
        """Sends a body; the headers are those of a good message, and these."""
        name = uuid.uuid4().hex
        protocol = {
            "lang": "py", "task": task, "id": name, "root_id": name, "parent_id": None, "group": None,
            "group_index": None, "retries": 0, "timelimit": [None, None], "eta": None, "expires": None,
        }
        with self.app.connection_for_write() as connection:
            connection.Producer().publish(
                body, headers={**protocol, **headers}, content_type=content_type, content_encoding=encoding,
                exchange="", routing_key="celery", correlation_id=name,
            )
        return AsyncResult(name, app=self.app)

    def embed(self, embed, **headers):
        """Sends a good call with a third part of its body of one's own."""
        embed = embed if isinstance(embed, str) else json.dumps(embed)
        return self.body('[["v"], {}, ' + embed + "]", **headers)


def alive(app):
    return app.send_task("text.echo", args=["alive"]).get(timeout=PATIENCE)


def unknown_links(app):
    """A chain with a link that nobody knows, and callbacks that nobody knows."""
    add = lambda *args: app.signature("numbers.add", args=args)
    seen = {}
    broken = chain(add(1, 2), app.signature("no.such"), add(3), add(4))()
    seen["last"] = caught(broken)
    # What fails the rest is stored after what failed: the last one is looked for. `broken` waits
    # for it by now, and of two that wait for one id a client of 5.4 tells the first alone.
    until("the rest fails", lambda: broken.state == "FAILURE")
    seen["rest"] = caught(AsyncResult(broken.id, app=app)), caught(AsyncResult(broken.parent.id, app=app))
    seen["states"] = [one.state for one in (broken, broken.parent, broken.parent.parent, broken.parent.parent.parent)]
    link = app.signature("no.such", task_id="unknown-link")
    seen["linked"] = caught(add(1, 2).apply_async(link=link))
    seen["link"] = caught(AsyncResult("unknown-link", app=app))
    failed = app.send_task("flaky.fails", args=["ValueError", "boom"], link_error=app.signature("no.such", task_id="unknown-errback"))
    seen["failed"] = caught(failed)
    seen["errback"] = caught(AsyncResult("unknown-errback", app=app))
    seen["body"] = caught(chord([add(1, 1), add(2, 2)])(app.signature("no.such")))
    return {**seen, "alive": alive(app)}


def revoked_member(app):
    """A chord of which one member is revoked before it runs."""
    add = lambda *args, **options: app.signature("numbers.add", args=args, **options)
    late = add(3, 3, countdown=6)
    sent = chord([add(1, 1), add(2, 2), late])(app.signature("numbers.total"))
    app.control.revoke(sent.parent[2].id)
    seen = {"body": caught(AsyncResult(sent.id, app=app)), "member": caught(sent.parent[2])}
    # The chord may fail before the member is due: what is due after it comes after its message.
    app.send_task("text.echo", args=["due"], countdown=6).get(timeout=PATIENCE)
    return {**seen, "alive": alive(app)}


def begin(app):
    """Sends a chord with a member that stays for long, and tells their ids."""
    stays = app.signature("odd.stays", args=[600_000])
    sent = chord([app.signature("numbers.add", args=(1, 1)), stays])(app.signature("text.echo"))
    until("STAYING", lambda: sent.parent[1].state == "STAYING")
    return {"body": sent.id, "member": sent.parent[1].id}


def held(app):
    """Sends a chord with a member that waits for its time, and tells their ids."""
    late = app.signature("numbers.add", args=(1, 1), countdown=10)
    sent = chord([app.signature("numbers.add", args=(1, 1)), late])(app.signature("text.echo"))
    return {"body": sent.id, "member": sent.parent[1].id}


def ended(app, *ids):
    return {"ends": [caught(AsyncResult(one, app=app)) for one in ids], "alive": alive(app)}


def terminated_member(app):
    ids = begin(app)
    app.control.revoke(ids["member"], terminate=True)
    return ended(app, ids["body"], ids["member"])


def large_group(app):
    """Ten thousand tasks by a client, and as many by a worker."""
    members = [app.signature("text.echo", args=[n]) for n in range(10_000)]
    sent = group(members)()
    seen = {"direct": sent.get(timeout=10 * PATIENCE) == list(range(10_000))}
    add = [app.signature("numbers.add", args=[n]) for n in range(10_000)]
    sent = (app.signature("numbers.add", args=(1, 0)) | group(add))()
    seen["in_chain"] = sent.get(timeout=10 * PATIENCE) == list(range(1, 10_001))
    return {**seen, "alive": alive(app)}


def large_chord(app):
    add = [app.signature("numbers.add", args=[n]) for n in range(10_000)]
    sent = (app.signature("numbers.add", args=(1, 0)) | group(add) | app.signature("numbers.total"))()
    # By its id: a client that waits for `sent` looks at each of the 10,000 members after each
    # message it reads, of which there are 20,000, and computes for minutes.
    body = AsyncResult(sent.id, app=app)
    return {"total": body.get(timeout=10 * PATIENCE), "alive": alive(app)}


def options(app):
    """Signatures whose options are of wrong types, as the next of a chain."""
    raw, seen = Raw(app), {}

    def link(name, **signature):
        task_id = f"options-{name}"
        options = signature.pop("options", {})
        if isinstance(options, dict):
            options = {"task_id": task_id, **options}
        sent = {"task": "text.echo", "args": [], "kwargs": {}, "options": options, "subtask_type": None, "immutable": False, **signature}
        seen[name] = [caught(raw.embed({"callbacks": None, "errbacks": None, "chain": [sent], "chord": None}))]
        after = AsyncResult(task_id, app=app)
        if isinstance(options, dict) and isinstance(options["task_id"], str):
            seen[name].append(caught(after))

    link("countdown", options={"countdown": "soon"})
    link("infinite", options={"countdown": 1e308})
    link("link", options={"link": 7})
    link("link_error", options={"link_error": {"a": 1}})
    link("list", options=[])
    link("text", options="options")
    link("priority", options={"priority": "high"})
    link("queue", options={"queue": {"name": "x"}})
    link("eta", options={"eta": "tomorrow"})
    link("expires", options={"expires": [1]})
    link("headers", options={"headers": [1]})
    link("stamped", options={"stamped_headers": 7})
    link("time_limit", options={"time_limit": -1})
    link("id", options={"task_id": 7})
    link("retry_policy", options={"retry_policy": {"max_retries": 1}, "unheard": [1]})
    link("args", args={"a": 1})
    link("kwargs", kwargs=[1])
    link("task", task=7)
    link("type", subtask_type="spiral")
    link("immutable", immutable="very")
    return {**seen, "alive": alive(app)}


def embeds(app):
    """Third parts of a body that are of wrong types."""
    raw, seen = Raw(app), {}
    signature = {"task": "text.echo", "args": [], "kwargs": {}, "options": {}}
    for name, embed, headers in [
        ("callbacks", {"callbacks": 7}, {}),
        ("callbacks text", {"callbacks": "text.echo"}, {}),
        ("callbacks list", {"callbacks": [[signature]]}, {}),
        ("chain", {"chain": {"a": 1}}, {}),
        ("chain numbers", {"chain": [1, 2]}, {}),
        ("errbacks", {"errbacks": 7}, {}),
        ("chord", {"chord": []}, {}),
        ("chord in a group", {"chord": []}, {"group": "g-1"}),
        ("chord without id", {"chord": signature}, {"group": "g-2", "group_index": 0}),
        ("null", "null", {}),
        ("list", [], {}),
        ("number", 7, {}),
        ("twice", '{"chain": null, "chain": null}', {}),
        ("group_index", {"chord": signature}, {"group": "g-3", "group_index": "first"}),
        ("group", {"chord": signature}, {"group": 7}),
        ("stamps", {}, {"stamps": [1], "stamped_headers": "order"}),
        ("stamps numbers", {}, {"stamps": 7, "stamped_headers": {"a": 1}}),
        ("stamps without names", {}, {"stamps": {"order": 1}, "stamped_headers": None}),
        ("names without stamps", {}, {"stamps": None, "stamped_headers": ["order"]}),
    ]:
        seen[name] = caught(raw.embed(embed, **headers))
    return {**seen, "alive": alive(app)}


def bodies(app):
    """A real chord whose body has no id: it runs all the same, under an id of ours."""
    header = [app.signature("numbers.add", args=(n, n)) for n in (1, 2)]
    name, raw = uuid.uuid4().hex, Raw(app)
    body = {"task": "numbers.total", "args": [], "kwargs": {}, "options": {"queue": "celery"}, "subtask_type": None, "immutable": False}
    body["options"]["link"] = [app.signature("text.echo", task_id="after-nameless")]
    app.backend.set_chord_size(name, 2)
    embed = json.dumps({"chord": body})
    for index in range(2):
        raw.body(json.dumps([[index, 1], {}, json.loads(embed)]), task="numbers.add", group=name, group_index=index)
    return {"after": caught(AsyncResult("after-nameless", app=app)), "alive": alive(app), "header": len(header)}


def deep(app):
    """Canvases that are nested for ever, as far as one can see."""
    raw, seen = Raw(app), {}

    def nest(levels, left, right):
        inner = '{"task": "text.echo", "args": [], "kwargs": {}, "options": {}}'
        return left * levels + inner + right * levels

    group_ = ('{"task": "celery.group", "args": [], "kwargs": {"tasks": [', ']}, "options": {}, "subtask_type": "group"}')
    chain_ = ('{"task": "celery.chain", "args": [], "kwargs": {"tasks": [', ']}, "options": {}, "subtask_type": "chain"}')
    chord_ = (
        '{"task": "celery.chord", "args": [], "kwargs": {"header": [',
        '], "body": {"task": "text.echo"}}, "options": {}, "subtask_type": "chord"}',
    )
    link_ = ('{"task": "text.echo", "args": [], "kwargs": {}, "immutable": false, "options": {"link": [', "]}}")
    for levels in (100, 10_000):
        for name, shape in {"group": group_, "chain": chain_, "chord": chord_}.items():
            nested = nest(levels, *shape)
            seen[f"{name} {levels}"] = caught(raw.embed('{"chain": [' + nested + "]}"))
            seen[f"{name} {levels} callback"] = caught(raw.embed('{"callbacks": [' + nested + "]}"))
            failed = raw.embed('{"errbacks": [' + nested + '], "chain": [' + nested + "]}", task="no.such")
            seen[f"{name} {levels} failed"] = caught(failed)[0]
    # Each link leads to the next, one message each: no nesting to us.
    last = '{"task": "text.echo", "options": {"task_id": "last-link"}}'
    seen["links"] = caught(raw.embed('{"callbacks": [' + nest(100, *link_).replace(nest(0, "", ""), last) + "]}"))
    seen["last link"] = caught(AsyncResult("last-link", app=app))
    seen["lists"] = caught(raw.embed('{"chain": ' + "[" * 10_000 + "]" * 10_000 + "}"))
    seen["unclosed"] = caught(raw.embed('{"chain": ' + "[" * 10_000))[0]
    return {**seen, "alive": alive(app)}


class Opens:
    """What a pickle does that nobody should read: it opens a shell."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def pickles(app, path):
    raw, seen = Raw(app), {}
    kind = {"content_type": "application/x-python-serialize", "encoding": "binary"}
    evil = Opens(path)
    for name, body in {
        "argument": [[evil], {}, {}], "keyword": [[], {"value": evil}, {}], "embed": [["v"], {}, {"chain": [evil]}], "all": evil,
    }.items():
        for protocol in (0, 2, 5):
            seen[f"{name} {protocol}"] = caught(raw.body(pickle.dumps(body, protocol=protocol), **kind))
    seen["good"] = caught(raw.body(pickle.dumps([["v"], {}, {}]), **kind))
    return {**seen, "ran": os.path.exists(path), "alive": alive(app)}


def bombs(app, *others):
    """Small bodies that expand to 512 MiB, over this broker and over others."""
    import brotli
    from backports import zstd

    apps = [app, *(Celery(broker=broker, backend=app.conf.result_backend) for broker in others)]
    raws, seen = [Raw(one) for one in apps], {}
    size, block = 512 << 20, b" " * (1 << 20)

    def fed(compressor):
        parts = [compressor.compress(block) for _ in range(size // len(block))]
        return b"".join([*parts, compressor.flush()])

    class Brotli:
        def __init__(self):
            self.inner = brotli.Compressor(quality=5)

        def compress(self, data):
            return self.inner.process(data)

        def flush(self):
            return self.inner.finish()

    for name, bomb in {
        "application/x-gzip": lambda: fed(zlib.compressobj(9)),
        "application/x-bz2": lambda: fed(bz2.BZ2Compressor(9)),
        "application/x-lzma": lambda: fed(lzma.LZMACompressor(preset=1)),
        "application/x-brotli": lambda: fed(Brotli()),
        "application/zstd": lambda: fed(zstd.ZstdCompressor()),
    }.items():
        body = bomb()
        assert len(body) < 1 << 20, (name, len(body))
        for at, raw in enumerate(raws):
            seen[f"{name} {at}"] = caught(raw.body(body, compression=name))
    return {**seen, "alive": alive(app)}


def control(app):
    """Requests of remote control that nobody can carry out."""
    ask = lambda *args, **more: app.control.broadcast(*args, reply=True, timeout=20, limit=1, **more)
    seen = {"unknown": list(ask("no_such_method")[0].values())[0]}
    seen["arguments"] = list(ask("revoke", {"task_id": {"a": 1}, "terminate": "yes"})[0].values())[0]
    seen["terminate"] = list(ask("revoke", {"task_id": "nobody", "terminate": "yes"})[0].values())[0]

    def post(body, content_type="application/json", encoding="utf-8"):
        with app.connection_for_write() as connection:
            exchange = app.control.mailbox.exchange
            producer = connection.Producer(auto_declare=False)
            producer.publish(body, exchange=exchange.name, routing_key="", declare=[exchange], content_type=content_type, content_encoding=encoding)

    nested = '{"method": "ping", "arguments": ' + "[" * 10_000 + "]" * 10_000 + "}"
    for body in (
        b"", b"\xff\xfe\x00", "[]", "7", '"ping"', "{}", '{"method": 7}', '{"method": "ping", "arguments": [1]}',
        '{"method": "ping", "destination": 7}', '{"method": "ping", "reply_to": 7, "ticket": {}}', nested,
        '{"method": "ping", "pattern": "(((((", "matcher": "pcre"}',
        json.dumps({"method": "ping", "arguments": {"x": "x" * (2 << 20)}}),
        json.dumps({"method": "x" * (2 << 20)}),
        json.dumps({"method": "revoke", "arguments": {"task_id": ["x" * 40] * 50_000}}),
    ):
        post(body)
    post(pickle.dumps({"method": "shutdown"}), "application/x-python-serialize", "binary")
    seen["ping"] = list(ask("ping")[0].values())[0]
    return {**seen, "alive": alive(app)}


def main():
    what, broker, backend, *more = sys.argv[1:]
    app = Celery(broker=broker, backend=backend)
    scenes = [
        unknown_links, revoked_member, begin, held, ended, terminated_member, large_group, large_chord, options,
        embeds, bodies, deep, pickles, bombs, control,
    ]
    print(json.dumps({scene.__name__: scene for scene in scenes}[what](app, *more)))


main()
