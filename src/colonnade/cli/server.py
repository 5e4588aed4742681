"""The server that a command is about: found by its data folder, asked through the public API with the root keys."""

from __future__ import annotations

import argparse
import os

from colonnade import credentials, settings
from colonnade.cli.client import Client
from colonnade.cli.terminal import NOT_RUNNING, CommandError
from colonnade.settings import Settings
from colonnade.supervisor import folder
from colonnade.supervisor.folder import ServerRecord


def add_folder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", metavar="FOLDER", help="the server's data folder")
    parser.add_argument(
        "--config", metavar="FILE", help="settings file, instead of colonnade.toml in the data folder"
    )


def chosen(arguments: argparse.Namespace) -> Settings:
    return settings.read(vars(arguments), os.environ)


def find(chosen: Settings) -> ServerRecord:
    """The server that is ready in the chosen folder; refuses, with exit code 3, when there is none."""
    record = folder.running(chosen.data)
    if record is None and (pid := folder.holder(chosen.data)):
        raise CommandError(
            f"the server of {chosen.data} (process {pid}) is starting or stopping: ask again in a moment",
            NOT_RUNNING,
        )
    if record is None:
        raise CommandError(
            f"no server is running in {chosen.data}: start one with `colonnade up`, or name its folder with --data",
            NOT_RUNNING,
        )
    return record


def client(record: ServerRecord) -> Client:
    return Client(record.url, credentials.read(record.data_folder), record.region)
