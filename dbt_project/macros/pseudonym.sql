{#
The keyed pseudonym of a raw identifier: HMAC-SHA-256 cut to 16 bytes, the same text that
profilestore.privacy.pseudonyms makes in Python (a test compares the two).
The key's two padded forms are variables of the build's session, which profilestore.dbt_plugin sets:
no key stands in compiled SQL, and without one the query fails.
#}
{% macro pseudonym(identifier) -%}
'u-' || left(sha256(coalesce(getvariable('pseudonym_opad')::blob, error('no pseudonym key in this session: pseudonym_opad is not set')::blob) || from_hex(sha256(coalesce(getvariable('pseudonym_ipad')::blob, error('no pseudonym key in this session: pseudonym_ipad is not set')::blob) || encode('user:' || cast({{ identifier }} as varchar))))), 32)
{%- endmacro %}
