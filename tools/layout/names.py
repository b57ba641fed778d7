"""How CPython spells, in some release, what fields.def names in another way.

A row of fields.def is looked up as it is spelled, and with "_" for the "." of inner structs. What is found
neither way is listed here, the newest spelling first.
"""

# Structs: row name -> typedefs and tags.
STRUCTS = {
    "PyObject": ["PyObject", "_object"],
    "PyThreadState": ["PyThreadState", "_ts"],
    "PyInterpreterState": ["PyInterpreterState", "_is"],
    "_PyRuntimeState": ["_PyRuntimeState", "pyruntimestate"],
    "PyFrameObject": ["PyFrameObject", "_frame"],
    "PyCodeObject": ["PyCodeObject"],
    "PyTypeObject": ["PyTypeObject", "_typeobject"],
    "PyDictKeysObject": ["PyDictKeysObject", "_dictkeysobject"],
    "PyDictValues": ["PyDictValues", "_dictvalues"],
    "PyLongObject": ["PyLongObject", "_longobject"],
    "PyWeakReference": ["PyWeakReference", "_PyWeakReference"],
    "PyTracebackObject": ["PyTracebackObject", "_traceback"],
    "_PyErr_StackItem": ["_PyErr_StackItem", "_err_stackitem"],
    "_PyCFrame": ["_PyCFrame"],
    "_PyInterpreterFrame": ["_PyInterpreterFrame"],
    "managed_static_type_state": ["managed_static_type_state", "static_builtin_state"],
    "PyHamtNode_Bitmap": ["PyHamtNode_Bitmap"],
    "PyContext": ["PyContext", "_pycontextobject"],
    "PyContextVar": ["PyContextVar", "_pycontextvarobject"],
    "PyContextToken": ["PyContextToken", "_pycontexttokenobject"],
    "PyODictObject": ["PyODictObject", "_odictobject"],
    "_PyListIterObject": ["_PyListIterObject", "listiterobject"],
    "_PyTupleIterObject": ["_PyTupleIterObject", "tupleiterobject"],
    "teedataobject": ["teedataobject"],
    "unicodeiterobject": ["unicodeiterobject"],
    "gc_young_stats_buffer": ["gc_young_stats_buffer"],
    "lru_list_elem": ["lru_list_elem"],
    "CDataObject": ["CDataObject", "tagCDataObject"],
    "formatcode": ["formatcode", "_formatcode"],
    "tuplegetterobject": ["tuplegetterobject", "_tuplegetterobject"],
}

# Members: row -> other paths.
MEMBERS = {
    "PyLongObject.lv_tag": ["long_value.lv_tag"],
    "PyLongObject.ob_digit": ["long_value.ob_digit"],
    "PyVarObject.ob_size": ["ob_size"],
    "_PyRuntimeState.finalizing": ["_finalizing"],
    "_PyRuntimeState.tracemalloc_config": ["tracemalloc.config"],
    "_PyRuntimeState.gilstate_tstate_current": ["gilstate.tstate_current"],
    "PyInterpreterState.id": ["_id", "id"],
    "PyInterpreterState.threads_head": ["threads.head", "tstate_head"],
    "PyInterpreterState.imports_modules": ["imports.modules", "modules"],
    "PyInterpreterState.imports_modules_by_index": ["imports.modules_by_index", "modules_by_index"],
    "PyInterpreterState.imports_importlib": ["imports.importlib", "importlib"],
    "PyInterpreterState.imports_import_func": ["imports.import_func", "import_func"],
    "PyInterpreterState.codec_search_path": ["codecs.search_path", "codec_search_path"],
    "PyInterpreterState.codec_search_cache": ["codecs.search_cache", "codec_search_cache"],
    "PyInterpreterState.codec_error_registry": ["codecs.error_registry", "codec_error_registry"],
    "PyInterpreterState.atexit_callbacks": ["atexit.callbacks"],
    "PyInterpreterState.freelist_tuples": [
        "object_state.freelists.tuples.numfree", "tuple.numfree", "object_state.freelists.tuples"],
    "PyInterpreterState.types_builtins": ["types.builtins.initialized", "types.builtins"],
    "PyInterpreterState.types_builtins_num": [
        "types.builtins.num_initialized", "types.num_builtins_initialized"],
    "PyInterpreterState.types_for_extensions": ["types.for_extensions.initialized"],
    "PyInterpreterState.types_for_extensions_num": ["types.for_extensions.num_initialized"],
    "PyInterpreterState.interned_strings": ["cached_objects.interned_strings"],
    "PyInterpreterState._initial_thread": ["_initial_thread"],
    "_gc_runtime_state.old": ["old"],
    "PyThreadState.threading_local_key": ["threading_local_key"],
    "_PyInterpreterFrame.f_executable": ["f_executable", "f_code"],
    "_PyInterpreterFrame.f_funcobj": ["f_funcobj", "f_func"],
    "_PyInterpreterFrame.instr_ptr": ["instr_ptr", "prev_instr"],
    "PyCodeObject.co_ncellvars": ["co_ncellvars"],
    "PyCoroObject.cr_origin_or_finalizer": ["cr_origin_or_finalizer", "cr_origin"],
    "PyAsyncGenObject.ag_origin_or_finalizer": ["ag_origin_or_finalizer", "ag_finalizer"],
    "PyMemoryViewObject.view_obj": ["view.obj"],
    "_PyManagedBufferObject.master_obj": ["master.obj"],
    "PyCFunctionObject.m_weakreflist": ["m_weakreflist"],
    "PyWeakReference.hash": ["hash"],
    "pool_header.ref_count": ["ref.count"],
    "lockobject.locked": ["locked"],
    "lockobject.lock": ["lock._bits"],
    "rlockobject.rlock_owner": ["lock.thread", "rlock_owner"],
    "rlockobject.rlock_count": ["lock.level", "rlock_count"],
    "simplequeueobject.buf_items": ["buf.items"],
    "PyUnicodeObject.data": ["data"],
    "PyPickleBufferObject.view_obj": ["view.obj"],
    "PyDecObject.dec_flags": ["dec.flags"],
    "PyDecObject.dec_alloc": ["dec.alloc"],
}

# Structs whose name several source files use: the one that is meant.
SOURCES = {
    "BLOCK": "_collectionsmodule.c",
    "localobject": "_threadmodule.c",
}

# Extension modules whose structs are read too: they may be built in or files of their own.
MODULES = ["array", "_asyncio", "_queue", "_collections", "_functools", "itertools", "_thread",
           "_io", "_struct", "_typing", "_datetime", "_operator", "_abc", "_symtable", "_sre", "_contextvars",
           "_ctypes", "_decimal", "_elementtree"]
