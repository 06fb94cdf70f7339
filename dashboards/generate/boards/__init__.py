"""The five boards."""

from boards import comparison, daemon, fleet, run, store

ALL = [fleet.board, run.board, comparison.board, store.board, daemon.board]
