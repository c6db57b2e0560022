/* def_end.h - see def_begin.h. */
#undef KT_STRUCT
#undef KT_END
#undef KT_BOOL
#undef KT_U64
#undef KT_I64
#undef KT_F64
#undef KT_STR
#undef KT_BIN
#undef KT_DIGEST
#undef KT_VALUE
#undef KT_ONE
#undef KT_LIST
#undef KT_MESSAGE
