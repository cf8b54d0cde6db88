"""What a person sees: the only package that imports gradio. Pictures go in and out; no tensor arithmetic."""
