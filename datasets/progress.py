"""Progress bars, on stderr, so that what a command prints can be piped."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

T = TypeVar("T")


def bar(title: str, label: Callable[[Any], str]) -> Callable[[Iterable[T]], Iterator[T]]:
    """A wrapper for an iterable that shows how far it is; silent where stderr is no terminal."""

    def wrap(items: Iterable[T]) -> Iterator[T]:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        listed = list(items)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        console = Console(stderr=True)
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
            task = progress.add_task(title, total=len(listed))
            for item in listed:
                progress.update(task, description=f"{title} {label(item)}")
                yield item
                progress.advance(task)

    return wrap
