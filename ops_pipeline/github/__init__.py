"""What the tools for GitHub Actions know of GitHub. Standard library only: they run where no installation worked."""
