"""Where definitions come from: manifests in any format of `formats.FORMATS`, read in constant memory.

A definition passes `source` (bytes, decompressed), the file of its format (one decoded object at a time) and
`definition` (checked, in the API's text forms). Values that are generated or fetched instead of written down
would be one more step in `definition`, where `SecretData` becomes a text.
"""

from bulkseed.manifest.reader import Manifest, open_manifest

__all__ = ["Manifest", "open_manifest"]
