"""The exporter of metrics for Prometheus that most installations of Celery run."""

from src.cli import cli

cli()
