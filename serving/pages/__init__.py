"""The web pages: rendered here, without a build step, scripts from elsewhere or a need for scripts.

| module | what it holds |
| --- | --- |
| `rendering` | templates become pages (`templates/`, `static/`) |
| `charts` | small drawings |
| `form`, `telling` | the form by which an event is told, and what was told by it |
| `views` | documents become pages |
| `routes` | the addresses of the pages |
"""
