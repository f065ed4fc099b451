"""Start app.py of the exported tree in the working directory, with runs that need no model.

python -m tests.playground.start_space
"""

if __name__ == "__main__":  # a run's process imports this module again
    import functools
    import runpy

    from align_core.runs.client import Client
    from playground.voting.pairs import Pairs

    Client.__init__ = functools.partialmethod(  # type: ignore[assignment]
        Client.__init__, training="tests.playground.scripted"
    )
    Pairs.score = lambda *_: None  # type: ignore[method-assign]
    runpy.run_path("app.py", run_name="__main__")
