/* def_begin.h, def_end.h - around every .def file: whichever macro its reader did not define is
 * nothing here, and none is left behind. (No include guard: read many times on purpose.)
 */
#ifndef KT_STRUCT
#define KT_STRUCT(name_, sentence_)
#endif
#ifndef KT_END
#define KT_END(name_)
#endif
#ifndef KT_BOOL
#define KT_BOOL(in_, key_, name_, need_, sentence_)
#endif
#ifndef KT_U64
#define KT_U64(in_, key_, name_, need_, min_, max_, sentence_)
#endif
#ifndef KT_I64
#define KT_I64(in_, key_, name_, need_, min_, max_, sentence_)
#endif
#ifndef KT_F64
#define KT_F64(in_, key_, name_, need_, sentence_)
#endif
#ifndef KT_STR
#define KT_STR(in_, key_, name_, need_, max_, sentence_)
#endif
#ifndef KT_BIN
#define KT_BIN(in_, key_, name_, need_, max_, sentence_)
#endif
#ifndef KT_DIGEST
#define KT_DIGEST(in_, key_, name_, need_, sentence_)
#endif
#ifndef KT_VALUE
#define KT_VALUE(in_, key_, name_, need_, sentence_)
#endif
#ifndef KT_ONE
#define KT_ONE(in_, key_, name_, need_, of_, sentence_)
#endif
#ifndef KT_LIST
#define KT_LIST(in_, key_, name_, need_, of_, max_, sentence_)
#endif
#ifndef KT_MESSAGE
#define KT_MESSAGE(tag_, name_, direction_)
#endif
