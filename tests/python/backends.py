"""Uses a result backend in every way that Celery's clients can, and prints what it saw as JSON."""

import datetime
import json
import os
import re
import sys
import time
import uuid
import warnings

from celery import Celery, __version__, chord, group
from celery.result import AsyncResult, GroupResult

from patience import PATIENCE, caught


def status(app, result):
    return app.backend.get_task_meta(result.id, cache=False)["status"]


def progress(app):
    """Returns what was told on the way, which is heard or looked for."""
    call = app.send_task("report.build", args=["Sales", 4, 400])
    heard = []
    try:
        call.get(timeout=PATIENCE, on_message=heard.append)
    except Exception as error:
        if "on_message" not in str(error):
            raise
        until = time.monotonic() + PATIENCE
        while not call.ready() and time.monotonic() < until:
            heard.append(app.backend.get_task_meta(call.id, cache=False))
            time.sleep(0.05)
        call.get(timeout=PATIENCE)
    return sorted({seen["result"]["current"] for seen in heard if seen["status"] == "PROGRESS"})


def count(app):
    """Returns how many results there are, of tasks and nothing else."""
    if hasattr(app.backend, "client"):
        return len(app.backend.client.keys("celery-task-meta-*"))
    if hasattr(app.backend, "ResultSession"):
        return execute(app, "SELECT count(*) FROM celery_taskmeta")
    return len([name for name in os.listdir(folder(app)) if name.startswith("celery-task-meta-")])


def folder(app):
    return app.backend.path if isinstance(app.backend.path, str) else app.backend.path.decode()


def execute(app, statement, **values):
    from sqlalchemy import text

    with app.backend.ResultSession() as session:
        found = session.execute(text(statement), values)
        number = found.scalar() if found.returns_rows else None
        session.commit()
    return number


def age(app, name):
    """Makes a result or a group three days old, whoever wrote it."""
    day = 24 * 60 * 60
    if hasattr(app.backend, "ResultSession"):
        past = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None) - datetime.timedelta(days=3)
        execute(app, "UPDATE celery_taskmeta SET date_done = :past WHERE task_id = :name", past=past, name=name)
        execute(app, "UPDATE celery_tasksetmeta SET date_done = :past WHERE taskset_id = :name", past=past, name=name)
        execute(app, "UPDATE celeriac_run SET expires_at = 1 WHERE task_id = :name", name=name)
        return
    for one in os.listdir(folder(app)):
        if name in one:
            path = os.path.join(folder(app), one)
            with open(path, "rb") as file:
                old = re.sub(rb'("expires_at": ?)\d+', rb"\g<1>1", file.read())
            with open(path, "wb") as file:
                file.write(old)
            os.utime(path, (time.time() - 3 * day,) * 2)


def cleaned(app):
    """What a cleanup leaves of what is old and what is not; nothing is old in Redis."""
    if hasattr(app.backend, "client"):
        return None
    ours, young = (app.send_task("text.echo", args=[1]) for _ in range(2))
    ours.get(timeout=PATIENCE), young.get(timeout=PATIENCE)
    theirs = AsyncResult(f"theirs-{uuid.uuid4()}", app=app)
    app.backend.store_result(theirs.id, 1, "SUCCESS")
    groups = [GroupResult(str(uuid.uuid4()), [young], app=app) for _ in range(2)]
    for one in groups:
        one.save()
    before = [status(app, one) for one in (ours, theirs, young)]
    for one in (ours, theirs, groups[0]):
        age(app, one.id)
    app.send_task("celery.backend_cleanup").get(timeout=PATIENCE)
    after = [status(app, one) for one in (ours, theirs, young)]
    left = [GroupResult.restore(one.id, app=app) is not None for one in groups]
    return [before, after, left]


def ignored(app):
    """What is written for a task whose result nobody wants, however it ends."""
    app.send_task("text.echo", args=[1]).get(timeout=PATIENCE)
    before = count(app)
    for name, args in [("text.echo", [1]), ("flaky.fails", ["ValueError", "boom"]), ("no.such", []), ("flaky.ignores", [])]:
        app.send_task(name, args=args, ignore_result=True, queue="one")
    # One worker takes them in their order.
    app.send_task("text.echo", args=[1], queue="one").get(timeout=PATIENCE)
    return count(app) - before


def expiring(app):
    """Leaves a result, a saved group and a chord that waits for a part."""
    app.conf.result_expires = 7_200
    members = group(app.signature("text.echo", args=[n]) for n in range(2)).apply_async()
    members.get(timeout=PATIENCE)
    members.save()
    late = app.signature("text.echo", args=[2], countdown=600)
    sent = chord([app.signature("text.echo", args=[1]), late])(app.signature("text.echo"))
    sent.parent[0].get(timeout=PATIENCE)
    return {"chord": sent.parent.id}


def everything(app):
    def call(name, *args, **options):
        return app.send_task(name, args=list(args), **options)

    seen = {"celery": __version__, "backend": type(app.backend).__name__}
    first = call("text.word_count", "to be or not to be")
    seen["words"] = first.get(timeout=PATIENCE)
    seen["state"] = first.state
    seen["children"] = first.children
    nested = {"ä": [1, 2.5, None, True, -7, {"deep": ["𝄞", "\\\"\n"]}], "": {}}
    seen["echo"] = call("text.echo", nested).get(timeout=PATIENCE) == nested
    seen["value_error"] = caught(call("flaky.fails", "ValueError", "boom"))
    seen["not_registered"] = caught(call("no.such"))
    seen["retry"] = call("flaky.fails_until", 1).get(timeout=PATIENCE)
    seen["progress"] = progress(app)
    linked = call("text.word_count", "a b", link=app.signature("text.echo").set(task_id=str(uuid.uuid4())))
    seen["linked"] = linked.get(timeout=PATIENCE)
    if linked.children is not None:
        seen["linked_children"] = [child.get(timeout=PATIENCE) for child in linked.children]

    first.forget()
    seen["forgotten"] = status(app, first)

    calls = group(app.signature("text.word_count", args=["a " * n]) for n in range(3))
    members = calls.apply_async()
    ids = [one.id for one in members]
    members.save()
    saved = members.id
    # What arrives goes to the first who asked; nobody but the restored one shall.
    del members
    restored = GroupResult.restore(saved, app=app)
    seen["restored"] = [one.id for one in restored] == ids
    seen["group"] = restored.get(timeout=PATIENCE)
    restored.delete()
    seen["deleted"] = GroupResult.restore(saved, app=app)
    seen["cleanup"] = caught(call("celery.backend_cleanup"))
    seen["cleaned"] = cleaned(app)
    return seen


def extended(app):
    app.conf.result_extended = True
    signature = app.signature("text.word_count", args=["a b a"], kwargs={"unique": True})
    signature.stamp(colour="red")
    call = signature.apply_async()
    call.get(timeout=PATIENCE)
    seen = {name: getattr(call, name) for name in ["name", "args", "kwargs", "worker", "retries", "queue"]}
    seen["stamp"] = app.backend.get_task_meta(call.id, cache=False).get("colour")
    return seen


def unsaved(app):
    """What a backend without a memory can do."""
    call = app.send_task("text.word_count", args=["a b"])
    seen = {"words": call.get(timeout=PATIENCE), "progress": progress(app)}
    seen["value_error"] = caught(app.send_task("flaky.fails", args=["ValueError", "boom"]))
    seen["cleanup"] = caught(app.send_task("celery.backend_cleanup"))
    return seen


def tables(app):
    """Has Celery make its tables."""
    return {"status": app.backend.get_task_meta("nobody")["status"]}


def main():
    warnings.simplefilter("ignore")
    what, broker, backend = sys.argv[1:]
    app = Celery(broker=broker, backend=backend)
    scenes = [everything, expiring, extended, ignored, tables, unsaved]
    print(json.dumps({scene.__name__: scene for scene in scenes}[what](app)))


main()
