"""Asks workers what Celery's own programs ask, and prints what they answered.

    control.py replies BROKER NODE     every command, as {command: answer}
    control.py revoke BROKER revoke|terminate|shutdown NAME
    control.py program BROKER WORDS    `celery -A app WORDS`, as {"code", "out", "err"}
    control.py programs BROKER NODE    every word of `celery inspect` and `celery control`
    control.py dump BROKER BACKEND TASK      what `celery events --dump` and `celery result` print
    control.py events BROKER BACKEND TASK    the events of one call of a task
"""

import json
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
CALLS = [
    ("ping", {}),
    ("ping", {"unexpected": 1}),
    ("clock", {}),
    ("stats", {}),
    ("active_queues", {}),
    ("registered", {"taskinfoitems": []}),
    ("registered#items", {"taskinfoitems": ["name", "rate_limit", "max_retries", 7]}),
    ("conf", {"with_defaults": False}),
    ("report", {}),
    ("active", {"safe": True}),
    ("reserved", {}),
    ("scheduled", {}),
    ("query_task", {"ids": ["nosuch"]}),
    ("revoked", {}),
    ("revoke", {"task_id": "11111111-1111-4111-8111-111111111111", "terminate": False}),
    ("terminate", {"task_id": "nosuch", "signal": "SIGTERM"}),
    ("time_limit", {"task_name": "text.word_count", "hard": 10, "soft": 5}),
    ("time_limit#unknown", {"task_name": "nosuch", "hard": 10, "soft": 5}),
    ("rate_limit#unknown", {"task_name": "nosuch", "rate_limit": "1/s"}),
    ("rate_limit#unit", {"task_name": "text.word_count", "rate_limit": "x/y"}),
    ("pool_grow", {"n": 1}),
    ("pool_shrink", {"n": 1}),
    ("autoscale", {"max": 4, "min": 1}),
    ("pool_restart", {}),
    ("add_consumer", {"queue": "xq", "exchange": None, "exchange_type": "direct", "routing_key": None}),
    ("cancel_consumer", {"queue": "xq"}),
    ("enable_events", {}),
    ("enable_events#again", {}),
    ("disable_events", {}),
    ("disable_events#again", {}),
    ("heartbeat", {}),
    ("hello", {"from_node": "other@example", "revoked": ["22222222-2222-4222-8222-222222222222"]}),
    ("memsample", {}),
    ("memdump", {}),
    ("objgraph", {}),
    ("no_such_command", {}),
]


def replies(broker, node):
    os.environ["BROKER"] = broker
    from app import app

    def ask(command, arguments, **more):
        return app.control.broadcast(
            command.split("#")[0], arguments, reply=True, timeout=20, limit=1, **more
        )

    seen = {}
    for command, arguments in CALLS:
        (answer,) = ask(command, arguments, destination=[node])
        seen[command] = answer[node]
    (answer,) = ask("ping", {}, pattern="*@" + node.split("@")[1], matcher="glob")
    seen["glob"] = answer[node]
    (answer,) = ask("ping", {}, pattern="^" + node.split("@")[0] + "@.+", matcher="pcre")
    seen["pcre"] = answer[node]
    quick = {"reply": True, "timeout": 0.5}
    seen["nobody"] = app.control.broadcast("ping", pattern="x@*", matcher="glob", **quick)
    seen["another"] = app.control.broadcast("ping", destination=["x@y"], **quick)
    return seen


def revoke(broker, what, name):
    os.environ["BROKER"] = broker
    from app import app

    if what == "shutdown":
        return app.control.shutdown(destination=[name])
    quick = {"reply": True, "timeout": 20, "limit": 1}
    return app.control.revoke(name, terminate=what == "terminate", **quick)


def program(broker, *words):
    environment = {**os.environ, "BROKER": broker, "PYTHONPATH": str(HERE)}
    celery = pathlib.Path(sys.executable).parent / "celery"
    ran = subprocess.run(
        [celery, "-A", "app", *words],
        capture_output=True, text=True, env=environment, timeout=50,
    )
    return {"code": ran.returncode, "out": ran.stdout, "err": ran.stderr}


INSPECT = [
    ["active"], ["active_queues"], ["clock"], ["conf"], ["memsample"], ["ping"],
    ["query_task", "nosuch"], ["registered", "rate_limit"], ["report"], ["reserved"],
    ["revoked"], ["scheduled"], ["stats"],
]
CONTROL = [
    ["rate_limit", "text.word_count", "10/m"], ["time_limit", "text.word_count", "5", "10"],
    ["add_consumer", "xq"], ["cancel_consumer", "xq"], ["enable_events"], ["disable_events"],
    ["heartbeat"], ["pool_grow", "2"], ["pool_shrink", "1"], ["autoscale", "4", "1"],
    ["revoke", "11111111-1111-4111-8111-111111111111"], ["terminate", "SIGTERM", "nosuch"],
]


def programs(broker, node):
    """Runs `celery` within this process, which many processes would take long for."""
    os.environ["BROKER"] = broker
    from celery.bin.celery import celery
    from click.testing import CliRunner

    def run(*words):
        ran = CliRunner().invoke(celery, ["-A", "app", "--no-color", *words])
        return [ran.exit_code, ran.output]

    def every(kind, commands):
        return {words[0]: run(kind, "-t", "20", "-d", node, *words) for words in commands}

    seen = {"control": every("control", CONTROL), "inspect": every("inspect", INSPECT)}
    seen["shutdown"] = run("control", "-t", "0.5", "-d", node, "shutdown")
    return seen


def dump(broker, backend, task):
    os.environ["BROKER"] = broker
    os.environ["BACKEND"] = backend
    environment = {**os.environ, "PYTHONPATH": str(HERE)}
    celery = pathlib.Path(sys.executable).parent / "celery"
    from app import app

    lines, sent = [], None
    words = [celery, "-A", "app", "events", "--dump"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment) as dumping:
        for line in dumping.stdout:
            if sent is None and "heartbeat" in line:
                sent = app.send_task(task, args=("a b c",))
            if sent is not None and sent.id in line:
                lines.append(line.strip())
            if "task succeeded" in line:
                break
        dumping.kill()
    ran = subprocess.run(
        [celery, "-A", "app", "result", sent.id], capture_output=True, text=True, env=environment, timeout=50
    )
    return {"id": sent.id, "lines": lines, "result": [ran.returncode, ran.stdout.strip()]}


def events(broker, backend, task):
    os.environ["BROKER"] = broker
    os.environ["BACKEND"] = backend
    from app import app

    seen = []
    sent = None
    with app.connection_for_read() as connection:
        receiver = app.events.Receiver(connection, handlers={"*": seen.append})
        # A heartbeat says that we listen by now.
        for _ in receiver.itercapture(limit=None, timeout=40):
            if seen and sent is None:
                sent = app.send_task(task, args=("a b c",))
            if any(event["type"] in ("task-succeeded", "task-failed") for event in seen):
                break
    own = [event for event in seen if event.get("uuid") == sent.id]
    workers = [event for event in seen if event["type"].startswith("worker-")]
    state = app.events.State()
    for event in workers + own:
        state.event(dict(event))
    task = state.tasks[sent.id]
    return {
        "task": own,
        "worker": workers[0],
        "state": task.state,
        "info": task.info(),
        "alive": [worker.hostname for worker in state.alive_workers()],
    }


if __name__ == "__main__":
    what, *arguments = sys.argv[1:]
    done = {"replies": replies, "program": program, "programs": programs, "dump": dump}
    done |= {"events": events, "revoke": revoke}
    print(json.dumps(done[what](*arguments)))
