"""Start the playground: `python app.py`, or as a Hugging Face Space."""

if __name__ == "__main__":
    from playground.__main__ import main

    main()
