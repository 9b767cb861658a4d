{#
The keyed pseudonym of a raw identifier: HMAC-SHA-256 cut to 16 bytes, the same text that
profilestore.privacy.pseudonyms makes in Python (a test compares the two).
The key's two padded forms are variables of the build's session, which profilestore.dbt_plugin sets:
no key stands in compiled SQL, and without one the query fails.

`kind` is what the identifier is: user, cookie, device, handle. Equal texts of two kinds have
different pseudonyms, which begin with the kind's first letter.
#}
{% macro pseudonym(identifier, kind='user') -%}
'{{ kind[0] }}-' || left(sha256(coalesce(getvariable('pseudonym_opad')::blob, error('no pseudonym key in this session: pseudonym_opad is not set')::blob) || from_hex(sha256(coalesce(getvariable('pseudonym_ipad')::blob, error('no pseudonym key in this session: pseudonym_ipad is not set')::blob) || encode('{{ kind }}:' || cast({{ identifier }} as varchar))))), 32)
{%- endmacro %}
