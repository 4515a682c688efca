"""Names and signatures of tasks that a worker of ours runs; the bodies never run."""

from celery import shared_task


@shared_task(name="text.word_count")
def word_count(text, unique=False):
    raise AssertionError("this ran in Python")


@shared_task(name="text.echo")
def echo(value):
    raise AssertionError("this ran in Python")


@shared_task(name="flaky.fails")
def fails(kind, message):
    raise AssertionError("this ran in Python")
