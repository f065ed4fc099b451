"""Start the page: the console script `alignment-playground`, and app.py in a checkout.

A run's process imports the main script again, so nothing is imported before it is known to be the
page.
"""


def main() -> None:
    """Serve the page until Ctrl-C; runs and votes go to the working directory."""
    from playground.settings import check, parse_tasks

    tasks = parse_tasks()
    check()  # before Gradio, which reads some of the environment, too
    from playground.app import main as serve

    serve(tasks)


if __name__ == "__main__":
    main()
