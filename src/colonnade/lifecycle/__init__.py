"""SageMaker, one folder per phase of the ML lens, one file or folder per resource noun. Phases never import each other."""
