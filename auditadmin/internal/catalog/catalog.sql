-- Describes the relations $2 and the functions $3 of schema $1 as one JSON value. It
-- runs with the settings of Begin, on which pg_get_expr and format_type depend.
-- Columns that only some major versions have are read through to_jsonb.
WITH relation AS (
    SELECT c.*
    FROM pg_catalog.pg_class AS c
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = $1::text
        AND c.relname = ANY ($2::text[])
        AND c.relpersistence <> 't'
)
SELECT pg_catalog.jsonb_build_object(
    'tables', (
        SELECT pg_catalog.jsonb_agg(pg_catalog.to_jsonb(t) ORDER BY t.name)
        FROM (
            SELECT
                r.relname AS name,
                r.relkind::text AS kind,
                r.relpersistence::text AS persistence,
                (SELECT m.amname FROM pg_catalog.pg_am AS m WHERE m.oid = r.relam) AS access_method,
                (
                    SELECT pg_catalog.jsonb_build_object('name', pg_catalog.quote_ident(o.rolname), 'superuser', o.rolsuper)
                    FROM pg_catalog.pg_roles AS o
                    WHERE o.oid = r.relowner
                ) AS owner,
                r.relrowsecurity AS row_security,
                (
                    SELECT pg_catalog.jsonb_agg(pg_catalog.to_jsonb(x) ORDER BY x.place)
                    FROM (
                        SELECT
                            a.attnum AS place,
                            pg_catalog.quote_ident(a.attname) AS name,
                            pg_catalog.format_type(a.atttypid, a.atttypmod) AS type,
                            a.attnotnull AS not_null,
                            pg_catalog.pg_get_expr(d.adbin, d.adrelid) AS "default",
                            a.attidentity::text AS identity,
                            a.attgenerated::text AS generated,
                            CASE WHEN a.attcollation <> y.typcollation THEN pg_catalog.quote_ident(v.nspname) || '.' || pg_catalog.quote_ident(l.collname) END AS collation,
                            coalesce(NOT l.collisdeterministic, false) AS nondeterministic,
                            (
                                WITH RECURSIVE domain AS (
                                    SELECT y.oid, y.typbasetype, y.typnotnull, y.typdefault
                                    WHERE y.typtype = 'd'
                                    UNION ALL
                                    SELECT b.oid, b.typbasetype, b.typnotnull, coalesce(domain.typdefault, b.typdefault)
                                    FROM domain
                                    JOIN pg_catalog.pg_type AS b ON b.oid = domain.typbasetype AND b.typtype = 'd'
                                )
                                SELECT coalesce(
                                    pg_catalog.bool_and(domain.typdefault IS NULL)
                                    AND pg_catalog.bool_or(domain.typnotnull OR EXISTS (
                                        SELECT FROM pg_catalog.pg_constraint AS k
                                        WHERE k.contypid = domain.oid AND pg_catalog.pg_get_constraintdef(k.oid) ~ 'VALUE IS NOT NULL'
                                    )),
                                    false
                                )
                                FROM domain
                            ) AS needs_value,
                            (
                                SELECT pg_catalog.to_jsonb(s)
                                FROM (
                                    SELECT
                                        q.seqrelid::bigint AS oid,
                                        pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname) AS name,
                                        c.relpersistence::text AS persistence,
                                        q.seqincrement AS increment,
                                        q.seqmax AS max,
                                        q.seqmin AS min,
                                        q.seqcache AS cache,
                                        q.seqcycle AS cycle,
                                        (
                                            SELECT pg_catalog.jsonb_agg(pg_catalog.to_jsonb(p))
                                            FROM (
                                                SELECT
                                                    coalesce(pg_catalog.quote_ident(o.rolname), 'PUBLIC') AS role,
                                                    o.rolname AS name,
                                                    pg_catalog.array_agg(DISTINCT e.privilege_type) AS privileges
                                                FROM pg_catalog.aclexplode(c.relacl) AS e
                                                LEFT JOIN pg_catalog.pg_roles AS o ON o.oid = e.grantee
                                                WHERE e.grantee <> c.relowner AND NOT coalesce(o.rolsuper, false)
                                                GROUP BY 1, 2
                                            ) AS p
                                        ) AS grants
                                    FROM pg_catalog.pg_depend AS x
                                    JOIN pg_catalog.pg_sequence AS q ON q.seqrelid = x.objid
                                    JOIN pg_catalog.pg_class AS c ON c.oid = x.objid
                                    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
                                    WHERE x.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                                        AND x.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
                                        AND x.refobjid = r.oid
                                        AND x.refobjsubid = a.attnum
                                        AND x.deptype = 'i'
                                ) AS s
                            ) AS sequence
                        FROM pg_catalog.pg_attribute AS a
                        JOIN pg_catalog.pg_type AS y ON y.oid = a.atttypid
                        LEFT JOIN pg_catalog.pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
                        LEFT JOIN pg_catalog.pg_collation AS l ON l.oid = a.attcollation
                        LEFT JOIN pg_catalog.pg_namespace AS v ON v.oid = l.collnamespace
                        WHERE a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
                    ) AS x
                ) AS columns,
                (
                    SELECT pg_catalog.jsonb_agg(pg_catalog.to_jsonb(x) ORDER BY x.name)
                    FROM (
                        SELECT
                            pg_catalog.quote_ident(k.conname) AS name,
                            pg_catalog.pg_get_expr(k.conbin, k.conrelid) AS expression,
                            k.convalidated AS validated,
                            k.connoinherit AS no_inherit,
                            coalesce((pg_catalog.to_jsonb(k) ->> 'conenforced')::boolean, true) AS enforced
                        FROM pg_catalog.pg_constraint AS k
                        WHERE k.conrelid = r.oid AND k.contype = 'c'
                    ) AS x
                ) AS checks,
                (
                    SELECT pg_catalog.jsonb_agg(pg_catalog.to_jsonb(x) ORDER BY x.name)
                    FROM (
                        SELECT
                            pg_catalog.quote_ident(k.conname) AS name,
                            pg_catalog.pg_get_constraintdef(k.oid) AS definition
                        FROM pg_catalog.pg_constraint AS k
                        WHERE k.conrelid = r.oid AND k.contype IN ('f', 'u', 'x')
                    ) AS x
                ) AS constraints,
                (
                    SELECT pg_catalog.jsonb_agg(pg_catalog.to_jsonb(x) ORDER BY x.name)
                    FROM (
                        SELECT
                            pg_catalog.quote_ident(g.tgname) AS name,
                            g.tgtype::integer AS type,
                            g.tgenabled::text AS enabled,
                            pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(f.proname) AS function,
                            g.tgqual IS NOT NULL OR g.tgnargs > 0 OR g.tgattr::text <> '' OR g.tgconstraint <> 0 OR g.tgoldtable IS NOT NULL OR g.tgnewtable IS NOT NULL AS special
                        FROM pg_catalog.pg_trigger AS g
                        JOIN pg_catalog.pg_proc AS f ON f.oid = g.tgfoid
                        JOIN pg_catalog.pg_namespace AS n ON n.oid = f.pronamespace
                        WHERE g.tgrelid = r.oid AND NOT g.tgisinternal
                    ) AS x
                ) AS triggers,
                (
                    SELECT pg_catalog.jsonb_agg(pg_catalog.to_jsonb(x) ORDER BY x.name)
                    FROM (
                        SELECT
                            pg_catalog.quote_ident(c.relname) AS name,
                            -- Storage parameters are the owner's to tune.
                            pg_catalog.regexp_replace(pg_catalog.substr(pg_catalog.pg_get_indexdef(i.indexrelid), pg_catalog.length(pg_catalog.concat(
                                'CREATE ', CASE WHEN i.indisunique THEN 'UNIQUE ' END, 'INDEX ', pg_catalog.quote_ident(c.relname),
                                ' ON ', pg_catalog.quote_ident($1::text), '.', pg_catalog.quote_ident(r.relname), ' USING '
                            )) + 1), ' WITH \([^)]*\)', '') AS definition,
                            i.indisunique AS "unique",
                            i.indisprimary AS "primary",
                            NOT i.indimmediate AS deferrable,
                            i.indisvalid AND i.indisready AND i.indislive AS valid
                        FROM pg_catalog.pg_index AS i
                        JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
                        WHERE i.indrelid = r.oid
                    ) AS x
                ) AS indexes,
                (
                    SELECT pg_catalog.jsonb_agg(pg_catalog.to_jsonb(x) ORDER BY x.name)
                    FROM (
                        SELECT
                            pg_catalog.quote_ident(w.rulename) AS name,
                            CASE w.ev_type WHEN '1' THEN 'SELECT' WHEN '2' THEN 'UPDATE' WHEN '3' THEN 'INSERT' WHEN '4' THEN 'DELETE' END AS event,
                            w.ev_enabled <> 'D' AS enabled
                        FROM pg_catalog.pg_rewrite AS w
                        WHERE w.ev_class = r.oid
                    ) AS x
                ) AS rules,
                (
                    SELECT pg_catalog.jsonb_agg(pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname) ORDER BY n.nspname, c.relname)
                    FROM pg_catalog.pg_inherits AS h
                    JOIN pg_catalog.pg_class AS c ON c.oid = h.inhrelid
                    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
                    WHERE h.inhparent = r.oid
                ) AS children,
                (
                    SELECT pg_catalog.jsonb_agg(pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname) ORDER BY n.nspname, c.relname)
                    FROM pg_catalog.pg_inherits AS h
                    JOIN pg_catalog.pg_class AS c ON c.oid = h.inhparent
                    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
                    WHERE h.inhrelid = r.oid
                ) AS parents,
                (
                    SELECT pg_catalog.jsonb_agg(pg_catalog.to_jsonb(x) ORDER BY x.role)
                    FROM (
                        SELECT
                            coalesce(pg_catalog.quote_ident(o.rolname), 'PUBLIC') AS role,
                            o.rolname AS name,
                            pg_catalog.array_agg(DISTINCT e.privilege_type ORDER BY e.privilege_type) AS privileges
                        FROM (
                            SELECT b.grantee, b.privilege_type
                            FROM pg_catalog.aclexplode(r.relacl) AS b
                            UNION ALL
                            SELECT b.grantee, b.privilege_type || ' (' || pg_catalog.quote_ident(a.attname) || ')'
                            FROM pg_catalog.pg_attribute AS a
                            CROSS JOIN LATERAL pg_catalog.aclexplode(a.attacl) AS b
                            WHERE a.attrelid = r.oid AND NOT a.attisdropped
                        ) AS e
                        LEFT JOIN pg_catalog.pg_roles AS o ON o.oid = e.grantee
                        WHERE e.grantee <> r.relowner AND NOT coalesce(o.rolsuper, false)
                        GROUP BY 1, 2
                    ) AS x
                ) AS grants
            FROM relation AS r
        ) AS t
    ),
    'functions', (
        SELECT pg_catalog.jsonb_agg(pg_catalog.to_jsonb(f) ORDER BY f.name)
        FROM (
            SELECT
                p.proname AS name,
                (SELECT l.lanname FROM pg_catalog.pg_language AS l WHERE l.oid = p.prolang) AS language,
                pg_catalog.format_type(p.prorettype, NULL) AS returns,
                pg_catalog.replace(p.prosrc, E'\r\n', E'\n') AS source,
                p.prosecdef AS security_definer,
                p.proconfig AS config,
                CASE p.provolatile WHEN 's' THEN 'STABLE' WHEN 'i' THEN 'IMMUTABLE' END AS volatility,
                p.proisstrict AS strict,
                pg_catalog.pg_get_function_identity_arguments(p.oid) AS arguments,
                EXISTS (
                    SELECT
                    FROM pg_catalog.aclexplode(coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner))) AS e
                    WHERE e.grantee = 0 AND e.privilege_type = 'EXECUTE'
                ) AS public,
                (
                    SELECT pg_catalog.jsonb_build_object('name', pg_catalog.quote_ident(o.rolname), 'superuser', o.rolsuper)
                    FROM pg_catalog.pg_roles AS o
                    WHERE o.oid = p.proowner
                ) AS owner
            FROM pg_catalog.pg_proc AS p
            JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
            WHERE n.nspname = $1::text
                AND p.proname = ANY ($3::text[])
        ) AS f
    )
)::text
