{# Law 6, at the start of every build: each column of a mart has a privacy class, and none of them
   is a direct identifier. The build fails before the first row is written. #}
{% macro refuse_unclassed_columns() %}
    {%- set classes = ['quasi_identifier', 'sensitive', 'behaviour', 'aggregate'] -%}
    {#- While dbt parses there is no graph yet. -#}
    {%- set nodes = graph.nodes.values() if execute else [] -%}
    {%- for node in nodes
        if node.resource_type == 'model' and node.path.startswith('marts/') -%}
        {%- for column in node.columns.values() -%}
            {%- set class = column.config.meta.get('class') -%}
            {%- if class == 'direct_identifier' -%}
                {{ exceptions.raise_compiler_error(
                    'mart ' ~ node.name ~ ', column ' ~ column.name ~ ': a direct identifier may not'
                    ~ ' pass staging. Pseudonymise it there, or leave it out.') }}
            {%- elif class not in classes -%}
                {{ exceptions.raise_compiler_error(
                    'mart ' ~ node.name ~ ', column ' ~ column.name ~ ': privacy class is '
                    ~ (class or 'not set') ~ '; set config.meta.class to one of '
                    ~ classes | join(', ') ~ '.') }}
            {%- endif -%}
        {%- endfor -%}
    {%- endfor -%}
{% endmacro %}
