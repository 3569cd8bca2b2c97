"""The screen as a job: `spark-submit app/commands/screen_job.py EXPORT --out DIR --engine spark`, on its cluster."""

import typer

from app.commands.screen import screen_command

if __name__ == "__main__":
    typer.run(screen_command)
