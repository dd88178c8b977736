"""Where definitions come from: manifests in any format of `formats.table.FORMATS`, read in constant memory.

A definition passes `blocks` (bytes, decompressed), the file of its format (one decoded object at a time) and
`definition` (checked, in the API's text forms), where a value that is asked for comes from `value_from`.
"""

from bulkseed.manifest.reader import Manifest, open_manifest

__all__ = ["Manifest", "open_manifest"]
