"""Start the page: the console script `alignment-playground`, and app.py in a checkout.

A run's process imports the main script again, so this module imports nothing at the top level.
"""


def main() -> None:
    """Serve the page until Ctrl-C; runs and votes are stored below the working directory."""
    from playground.settings import check, parse_tasks

    tasks = parse_tasks()
    check()  # before Gradio is imported, because it reads some of the same variables
    from playground.app import main as serve

    serve(tasks)


if __name__ == "__main__":
    main()
