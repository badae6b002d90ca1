# cmake --install: bin/weft and share/weft (job scripts, licence), relocatable.
include(GNUInstallDirs)
install(TARGETS weft RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY ${CMAKE_SOURCE_DIR}/jobs DESTINATION ${CMAKE_INSTALL_DATADIR}/weft
        USE_SOURCE_PERMISSIONS
        REGEX "/(demo|test|install-deps)\\.sh$" EXCLUDE)  # these need the sources
install(FILES ${CMAKE_SOURCE_DIR}/LICENSE ${CMAKE_SOURCE_DIR}/README.md
        DESTINATION ${CMAKE_INSTALL_DATADIR}/weft)
