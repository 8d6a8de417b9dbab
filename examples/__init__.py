"""Programs and manifests to start from; `examples.demo` shows the main job on a real cluster."""
