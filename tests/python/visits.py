"""Visits the pages of an application, and prints what they answered as JSON.

    visits.py django             every page of `django_app`
    visits.py flask              every page of `flask_app`
    visits.py plan               writes entries for django-celery-beat
    visits.py runs               how often each entry was sent, and which are enabled
"""

import json
import sys
import time

PATIENCE = 40  # seconds; a busy machine needs some of them


def ended(look):
    """Looks again and again until a task has ended."""
    patience = time.monotonic() + PATIENCE
    while time.monotonic() < patience:
        page = look()
        if page["state"] not in ("PENDING", "STARTED"):
            return page
        time.sleep(0.05)
    raise TimeoutError("the task did not end")


def django():
    from django.test import Client

    visitor = Client()

    def get(path, **query):
        answer = visitor.get(path, query)
        return [answer.status_code, answer.json()]

    status, later = get("/later/", text="a b c")
    return {
        "words": get("/words/", text="to be or not to be"),
        "all": get("/words/all/", text=["a", "a b a", "ä ö ü"]),
        "refused": get("/refused/", text="not in stock"),
        "kinds": get("/kinds/"),
        "later": [status, ended(lambda: get(f"/task/{later['task']}/")[1])],
    }


def flask():
    from flask_app import create_app

    visitor = create_app().test_client()

    def page(answer):
        return [answer.status_code, answer.json]

    status, later = page(visitor.post("/later?text=a+b+c"))
    return {
        "words": page(visitor.get("/words?text=to+be+or+not+to+be")),
        "joined": page(visitor.post("/joined", json={"parts": ["a", "ä", "𝄞"]})),
        "refused": page(visitor.get("/refused?text=not+in+stock")),
        "later": [status, ended(lambda: visitor.get(f"/task/{later['task']}").json)],
    }


def plan():
    from django.core.management import call_command
    from django_celery_beat.models import IntervalSchedule, PeriodicTask

    call_command("migrate", verbosity=0)
    second, _ = IntervalSchedule.objects.get_or_create(every=1, period=IntervalSchedule.SECONDS)
    common = {"interval": second, "queue": "ticks", "expire_seconds": 30}
    words = {"args": '["to be or not to be"]', "kwargs": '{"unique": true}', "priority": 5}
    PeriodicTask.objects.create(name="words", task="text.word_count", **words, **common)
    PeriodicTask.objects.create(
        name="once", task="text.echo", args='["only once"]', one_off=True, headers='{"x-shop": "7"}', **common
    )
    PeriodicTask.objects.create(name="python", task="py.only", headers='{"x-shop": "7"}', **common)
    return runs()


def runs():
    from django_celery_beat.models import PeriodicTask

    return {entry.name: [entry.total_run_count, entry.enabled] for entry in PeriodicTask.objects.all()}


def main():
    what = sys.argv[1]
    if what != "flask":
        import django as framework

        import django_app  # noqa: F401  names the settings

        framework.setup()
    print(json.dumps({scene.__name__: scene for scene in (django, flask, plan, runs)}[what]()))


main()
