"""The web pages: rendered here, without a build step, scripts from elsewhere or a need for scripts.

| module | what it holds |
| --- | --- |
| `rendering` | templates become pages (`templates/`, `static/`) |
| `views` | documents become pages |
| `routes` | the addresses of the pages |
"""
