"""Who works at the pages that are not an EHR's."""
