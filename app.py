"""Start the playground: `python app.py`, or as a Hugging Face Space.

A run's process imports this file again, so nothing is imported before it is known to be the page.
"""

if __name__ == "__main__":
    from playground.settings import check

    check()  # before Gradio, which reads some of the environment, too
    from playground.app import main

    main()
