{# At the start of every build, before the first row is written: each mart has an owner, purposes and
   a description, and each column a description and a privacy class, which is no direct identifier
   (law 6). What codegen asks of marts that are feature views is asked here of all. #}
{% macro refuse_incomplete_declarations() %}
    {%- set classes = ['quasi_identifier', 'sensitive', 'behaviour', 'aggregate'] -%}
    {#- While dbt parses there is no graph yet. -#}
    {%- set nodes = graph.nodes.values() if execute else [] -%}
    {%- for node in nodes
        if node.resource_type == 'model' and node.path.startswith('marts/') -%}
        {%- set meta = node.config.meta -%}
        {{- refuse_unknown_purposes('mart ' ~ node.name, meta.get('purposes')) -}}
        {%- if not meta.get('owner') -%}
            {{ exceptions.raise_compiler_error(
                'mart ' ~ node.name ~ ': it has no owner; set config.meta.owner to who answers for'
                ~ ' it.') }}
        {%- elif not node.description | trim -%}
            {{ exceptions.raise_compiler_error(
                'mart ' ~ node.name ~ ': it has no description; say first what a row is.') }}
        {%- endif -%}
        {%- for column in node.columns.values() -%}
            {%- set place = 'mart ' ~ node.name ~ ', column ' ~ column.name -%}
            {%- set class = column.config.meta.get('class') -%}
            {%- if class == 'direct_identifier' -%}
                {{ exceptions.raise_compiler_error(
                    place ~ ': a direct identifier may not pass staging. Pseudonymise it there, or'
                    ~ ' leave it out.') }}
            {%- elif class not in classes -%}
                {{ exceptions.raise_compiler_error(
                    place ~ ': privacy class is ' ~ (class or 'not set')
                    ~ '; set config.meta.class to one of ' ~ classes | join(', ') ~ '.') }}
            {%- elif not column.description | trim -%}
                {{ exceptions.raise_compiler_error(
                    place ~ ': it has no description; say what its values mean.') }}
            {%- elif 'purposes' in column.config.meta -%}
                {{- refuse_unknown_purposes(place, column.config.meta.get('purposes')) -}}
            {%- endif -%}
        {%- endfor -%}
    {%- endfor -%}
{% endmacro %}

{% macro refuse_unknown_purposes(place, purposes) %}
    {%- set known = ['operations', 'profile', 'recommendation'] -%}
    {%- set given = purposes if purposes is iterable and purposes is not string else [] -%}
    {%- if not given or given | reject('in', known) | list -%}
        {{ exceptions.raise_compiler_error(
            place ~ ': purposes is ' ~ (purposes or 'not set')
            ~ '; set config.meta.purposes to a list of ' ~ known | join(', ') ~ '.') }}
    {%- endif -%}
{% endmacro %}
