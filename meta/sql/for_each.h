/*
 * A macro for each item of a list: FOR_EACH(m, a, b, c) is m(a) m(b) m(c); of an empty list,
 * nothing. FOR_EACH_IN(m, (a, b)) takes the list in parentheses. At most 64 items.
 */
#ifndef KISEKI_META_SQL_FOR_EACH_H
#define KISEKI_META_SQL_FOR_EACH_H

#define FOR_EACH_IN(m, list) FOR_EACH(m, FOR_EACH_UNPACK list)
#define FOR_EACH(m, ...)     __VA_OPT__(FOR_EACH_SCAN(FOR_EACH_STEP(m, __VA_ARGS__)))

/* The preprocessor does not expand a macro within itself: each scan takes one step more. */
#define FOR_EACH_STEP(m, item, ...)                                                                \
    m(item) __VA_OPT__(FOR_EACH_AGAIN FOR_EACH_PARENS(m, __VA_ARGS__))
#define FOR_EACH_AGAIN()     FOR_EACH_STEP
#define FOR_EACH_PARENS      ()
#define FOR_EACH_UNPACK(...) __VA_ARGS__
#define FOR_EACH_SCAN(...)                                                                         \
    FOR_EACH_SCAN3(FOR_EACH_SCAN3(FOR_EACH_SCAN3(FOR_EACH_SCAN3(__VA_ARGS__))))
#define FOR_EACH_SCAN3(...)                                                                        \
    FOR_EACH_SCAN2(FOR_EACH_SCAN2(FOR_EACH_SCAN2(FOR_EACH_SCAN2(__VA_ARGS__))))
#define FOR_EACH_SCAN2(...)                                                                        \
    FOR_EACH_SCAN1(FOR_EACH_SCAN1(FOR_EACH_SCAN1(FOR_EACH_SCAN1(__VA_ARGS__))))
#define FOR_EACH_SCAN1(...) __VA_ARGS__

#endif
