{# What is embedded of an item: its title and categories as one text; null when it has neither. #}
{% macro item_text(title, categories) -%}
nullif(array_to_string(list_concat([{{ title }}], {{ categories }}), ', '), '')
{%- endmacro %}

{# The words of a text in small letters, each as often as it is there. Where a script has no spaces
   a word is what stands between two marks. What has figures in it is a number of something. #}
{% macro words_of(text) -%}
regexp_extract_all(
    regexp_replace(lower({{ text }}), '\S*\d\S*', ' ', 'g'), '\p{L}[\p{L}\p{M}]+'
)
{%- endmacro %}
