"""The operator's commands, one module each: `python -m ops_pipeline.tools.<tool>` or `ops-pipeline <tool>`."""
