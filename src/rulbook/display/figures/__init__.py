"""The figures of the chapters: a module a chapter, a function a figure, data in and figure out."""
