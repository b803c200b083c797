"""Rules as data: what an organisation, or a request, says about slates beyond what the catalogue says."""
