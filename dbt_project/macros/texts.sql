{# What is embedded of an item: its title, categories and description as one text; null when it has
   none of them. #}
{% macro item_text(items) -%}
nullif(
    array_to_string(list_concat([{{ items }}.title], {{ items }}.categories, [{{ items }}.description]), ', '), ''
)
{%- endmacro %}

{# The words of a text in small letters, each as often as it is there. Where a script has no spaces
   a word is what stands between two marks. What has figures in it is a number of something. #}
{% macro words_of(text) -%}
regexp_extract_all(
    regexp_replace(lower({{ text }}), '\S*\d\S*', ' ', 'g'), '\p{L}[\p{L}\p{M}]+'
)
{%- endmacro %}
